"""Numbers and names of asynchronous SMAC; the units and maps are data (units.toml, maps/)."""

LOOPS_PER_STEP = 8  # game loops in one environment step
LOOPS_PER_S = 16  # game loops in a second of normal speed

# SMAC's action numbers; the family's own are one higher, behind `noop` and `continue` (asynchrony.py).
NO_ACTION, STOP, MOVE, ATTACK = 0, 1, 2, 6  # MOVE + direction, ATTACK + enemy (or ally, for a healer)
N_DIRECTIONS = 4
DIRECTION_NAMES = ("north", "south", "east", "west")
STEP_X, STEP_Y = (0.0, 0.0, 1.0, -1.0), (1.0, -1.0, 0.0, 0.0)  # of a direction
MOVE_AMOUNT = 2.0  # map units that a move order asks for; a step walks less
LOOK_AHEAD = 1.0  # map units ahead at which a move is tested
SHOOT_RANGE = 6.0  # centre to centre, inclusive; SMAC's, whatever the weapon

# What a unit was told, Units.order.
IDLE, WALK, STRIKE, HEAL, HUNT, TEND = 0, 1, 2, 3, 4, 5
# What it does in a loop, Scratch.doing.
STILL, ENGAGED, MOVING = 0, 1, 2
NOBODY = -1  # no target
FAR = 1e9  # no unit is as far away
NOT_DUE = -1  # no hit on its way

# Weapons, by their place in units.toml's names.
WEAPON_NAMES = ("none", "gun", "beam", "burst", "heal")
UNARMED, GUN, BEAM, BURST, HEALER = range(5)
LAYER_NAMES = ("ground", "air", "cliff")
GROUND, AIR, CLIFF = range(3)

SHIELD_DELAY = 160  # loops after damage in which shields do not grow
SHIELD_GAIN = 0.125  # points a loop
LEAST_DAMAGE = 0.5  # of a hit that meets no shield
HEAL_GAIN = 9.0 / LOOPS_PER_S  # points a loop
ENERGY_START, ENERGY_MAX = 50.0, 200.0
ENERGY_GAIN = 0.5625 / LOOPS_PER_S  # a loop
ENERGY_PER_POINT = 0.33
BEAM_LENGTH, BEAM_WIDTH = 2.8, 0.3  # across the line of fire, along it; around the target
BURST_RADIUS = 2.2

# The scripted enemy.
KEEP_SLOP = 1.0  # beyond its reach in which a target is kept
GRUDGE_KEPT = 48  # loops since its damage in which the last attacker is kept
GRUDGE_TAKEN = 32  # loops since its damage in which the last attacker is taken
CALL_RADIUS = 4.0  # centre to centre; friends that take an attacker as well
ARRIVAL_RADIUS = 0.5  # from the attack point
# Within CROWD + CROWD_EACH * sqrt(enemies) of the point, who touches somebody that has arrived has arrived.
CROWD, CROWD_EACH = 1.0, 0.7
TOUCHING = 0.1  # edge to edge, by separation radii
FOLLOW_DISTANCE = 1.0  # from the middle of its friends at which a healer stays

# Movement.
CLOSER = 0.01  # how far inside its reach a unit walks
SKIN = 0.01  # overlap that is left alone
SWEEPS = 2  # of separation in a loop
TURN_COS = (1.0, 0.5, -0.17364817766693033)  # straight on, 60 degrees, 100 degrees
TURN_SIN = (0.0, 0.8660254037844386, 0.984807753012208)

# SMAC's divisors of the weapon cooldown in the state (loops); of the energy, for a healer.
COOLDOWN_SCALES = {
    "marine": 15.0, "marauder": 25.0, "stalker": 35.0, "zealot": 22.0, "colossus": 24.0, "hydralisk": 10.0,
    "zergling": 11.0, "baneling": 1.0, "medivac": 200.0,
}  # fmt: skip
OTHER_COOLDOWN_SCALE = 15.0
PROTOSS = frozenset({"stalker", "zealot", "colossus"})

DURATION_SCALE = 3.0  # at least; of durations in the asynchronous features
BY_TYPE = {
    "stalker": 1, "zealot": 2, "colossus": 3, "marine": 1, "marauder": 2, "medivac": 3, "zergling": 1,
    "baneling": 2, "hydralisk": 2,
}  # fmt: skip

METRIC_NAMES = ("battle_won", "dead_allies", "dead_enemies")
