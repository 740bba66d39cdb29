"""The chat: customers ask a product, the service answers what it is sure of, people answer the rest."""
