"""Dashboards as code: each page is a module, ``python -m grafana.build`` writes the JSON.

Rules
1. A page asks only metrics of the gateway (docs: the metric table), ``process_*`` of its process,
   and what Prometheus knows itself (``up``, ``scrape_duration_seconds``, ``ALERTS``).
2. The committed JSON is what the code builds; a test compares them.
3. A page is read on a phone first: what matters is on top, and it has at most 30 queries.
"""
