"""Each client under faults and under a meter: what conformance cases cannot show. `make conformance` runs these too."""
