"""Trade: from the cart to the last coin, for buyer and merchant. Start at `service.py`; results are in `views.py`."""
