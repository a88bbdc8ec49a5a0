"""The results of a scoring for people and programs.

In: a `Scoring`. Out: `items.jsonl`, `metrics.md`, `metrics.json` (`files`, with the tables of
`table`), the page `report.html` (`page`), and pictures of how one pair was matched (`explain`).
"""
