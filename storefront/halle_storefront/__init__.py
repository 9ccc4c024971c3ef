"""The web faces of a node: admin, shop, market, API and gateway. They translate; no rule of trade lives here."""
