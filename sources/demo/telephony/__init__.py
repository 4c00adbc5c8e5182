"""Stand-ins of telephony providers, on loopback, with invented calls and planned faults.

They follow the providers' documentation (and, where that is closed, what clients that others wrote
rely on), not our clients.
"""
