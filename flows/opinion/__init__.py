"""The product kind of opinion monitoring: headlines in, an index, alerts and a page out."""
