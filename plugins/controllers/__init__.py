"""Controllers: from observations to actions."""

CONTROLLERS = {"async_mac": "plugins.controllers.async_mac:AsyncMAC"}  # name -> "module:attribute"
