"""Bytes over sockets -> acknowledged batches: a sender hears "yes" only after its samples are on disk.

`serving` opens the listeners that `settings` describe. Each protocol (`otlp_grpc`, `otlp_http`, `remote_write`, `hec`)
turns a request into a body and a receipt into its own words; `tokens` says who may send, `bounded` unpacks without
trusting sizes. Behind all of them stands one `intake`: one thread that decodes what waits, commits it together, and
answers everyone. Nothing here knows a detection.
"""
