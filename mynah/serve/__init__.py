"""Serve: Mynah over HTTP, for programs that speak OpenAI's API and for our own studio.

A request for long work becomes a job: a row in a table and a folder of its own (`jobs`), picked by a worker process
(`worker`) that does what the command line does (`work`). What a stranger sends is checked in `guard`, `uploads` and
`sound`, and whatever goes wrong is told in OpenAI's shape of errors (`problems`).
"""
