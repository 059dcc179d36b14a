"""What the text filters share: PP-OCR's two networks, and what becomes of a text box over time."""
