"""What the query API answers: trends, images, users.

One type per answer; the JSON Schemas are made from them.
"""
