-- What wrk tells at the end, in the line that `bench.load` looks for.

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'figures {"answered": %d, "seconds": %.6f, "refused": %d, "broken": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
