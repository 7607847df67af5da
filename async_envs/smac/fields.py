"""Where each field of a battle lies in the packed arrays that the kernels read: `real[f.X, b, u]`.

numba looks at every argument of every function, so a hundred arrays one by one cost minutes of compiling; packed
by type they are seven. `types.py` gives each field its name and meaning, in this order.
"""

# Battle.real [., B, U] float64
(
    X, Y, HEALTH, SHIELD, ENERGY, COOLDOWN, GOAL_X, GOAL_Y, PACE, VELOCITY, BEFORE, AIM_X, AIM_Y, NEXT_X, NEXT_Y,
) = range(15)  # fmt: skip

# Battle.whole [., B, U] int32
(
    ALIVE, SHIELD_WAIT, ORDER, TARGET, SWING_IN, SWING_AT, HIT_IN, HIT_AT, HURT_BY, HURT_AGO, ARRIVED, SHOTS,
    WAS_ALIVE, DOING, WISH,
) = range(15)  # fmt: skip

# Battle.stats [., U] float64
(
    MAX_HEALTH, MAX_SHIELD, ARMOR, REGENERATION, PERIOD, FLIGHT, SLOP, SPEED, ACCELERATION, RADIUS, INNER,
    COOLDOWN_SCALE, START_X, START_Y,
) = range(14)  # fmt: skip

# Battle.traits [., U] int32
WEAPON, HITS, HIT_GAP, DAMAGE_POINT, LAYER, TYPE_BIT, KIND, IS_STRUCTURE, IS_HEALABLE = range(9)

# Battle.pairs [., U, U] float64
REACH, SCAN, DAMAGE, CAN_HIT, APART, NEAR = range(6)

# Battle.rules [.] int64
(
    N_AGENTS, N_ENEMIES, EPISODE_LIMIT, TYPE_BITS, HAS_ATTACK_POINT, HAS_MEDIVAC_RULE, ALLY_SHIELD, ENEMY_SHIELD,
    IS_SPARSE, IS_ONLY_POSITIVE, SHOWS_ALL_HEALTH, SHOWS_OWN_HEALTH, SHOWS_LAST_ACTION, SHOWS_PATHING, SHOWS_HEIGHT,
    SHOWS_TIME, STATE_IS_OBS, STATE_SHOWS_LAST_ACTION, STATE_SHOWS_TIME, SHOWS_CLOCKS, IS_SCALED, IS_CANCELLING,
    RECORDS_SUBMITTED, IS_COMPATIBLE, ENDS_AT_LIMIT, HAS_MISSILES, HAS_COOLDOWN_JITTER,
) = range(27)  # fmt: skip

# Battle.scales [.] float64
(
    ATTACK_X, ATTACK_Y, SIGHT, DEATH_VALUE, WIN, DEFEAT, NEGATIVE_SCALE, REWARD_DIVISOR, DURATION_SCALE,
    SPAWN_JITTER,
) = range(10)  # fmt: skip
