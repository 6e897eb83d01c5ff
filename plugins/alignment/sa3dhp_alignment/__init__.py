"""Alignment losses: contrastive, relation, prior matching, rehearsal. Each names the views it needs."""
