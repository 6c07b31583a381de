"""The order governor: how many requests of an account may leave, and which of them now. Pure.

    request ─► lane and segment (lanes) ─► what has left of the account (budget), against its caps (limits) ─► admission

Bodies keep an `OrderBudget` where all processes of an account see it (decision 28).
"""
