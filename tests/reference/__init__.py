"""What docs/definitions.md means, in plain Python: the yardstick the SQL models are compared with.

Written from docs/definitions.md alone. Nothing here imports what the product computes with; only
`random_portal.write_portal` uses the demo portal's store, to hand a portal to the real pipeline.
Where SPEC leaves a question open, a comment starting with "Gap:" states the answer chosen.
"""
