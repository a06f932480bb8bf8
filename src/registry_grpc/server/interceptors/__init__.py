"""What every call passes on its way in and out, in this order.

Request id, outcome (metrics, access log, errors), limits, authentication, parsing and validation, servicer.
"""
