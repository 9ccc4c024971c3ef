"""What others publish: heads, documents, search, reviews, follows."""

from __future__ import annotations

from halle_node.index.service import IndexService
from halle_node.index.views import Facet, ListingHit, ListingView, ReviewView, SearchPage, StoreView

__all__ = ["Facet", "IndexService", "ListingHit", "ListingView", "ReviewView", "SearchPage", "StoreView"]
