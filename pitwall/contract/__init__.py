"""
What PitWall answers and says, as definitions: each answer and each message a Struct, its members with unit and range.

The OpenAPI and AsyncAPI documents are made of them, and the tests hold every real
answer and message against them. Nothing here is used on a hot path.
"""
