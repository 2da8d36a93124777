"""The copy of catalog's products. Only the replica worker writes it."""

from kompensa_participant import Copies

copies = Copies("products", key="catalog_product_id", noun="product", authority="catalog")
