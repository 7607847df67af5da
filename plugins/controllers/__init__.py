"""Controllers: from observations to actions."""

# name -> "module:attribute"
CONTROLLERS = {
    "async_mac": "plugins.controllers.async_mac:AsyncMAC",
    "ices_mac": "plugins.controllers.ices_mac:IcesMAC",
    "policy_mac": "plugins.controllers.policy_mac:PolicyMAC",
}
