"""The delivery engine on a virtual clock: what would AWS do with these records, settings and outcomes?"""
