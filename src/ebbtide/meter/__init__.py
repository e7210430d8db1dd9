"""Who sends what to whom, measured on a Linux node and sent as OTLP. Imports nothing of Ebbtide but series and errors.

The path in order: `probe` (counters from the kernel) -> `process`, `cgroup`, `kubernetes`, `remote` (names) -> `edge`
(sums per sender and receiver) -> `otlp` -> `export`. `fallback` stands in for `probe` where eBPF is refused.
"""
