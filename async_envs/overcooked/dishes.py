"""The dishes; their order is that of the task numbers."""

DISHES = ("tomato", "lettuce", "onion", "lettuce-tomato", "onion-tomato", "lettuce-onion", "lettuce-onion-tomato")
SALAD = " salad"  # a dish's full name is "lettuce-onion-tomato salad"
