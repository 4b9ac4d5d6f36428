"""The ledger's records as chains: keys, links, what is wrong with one, anchors, and death certificates."""
