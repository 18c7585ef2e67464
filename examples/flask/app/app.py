"""Counts visits in Redis, like the hit counter in /app, but with Flask conventions only."""

import os

import redis
from flask import Flask, Response

app = Flask(__name__)
# One second each to connect and to read: without Redis a visitor gets an error instead of waiting.
store = redis.Redis(
    host=os.environ["REDIS_HOST"],
    port=int(os.environ.get("REDIS_PORT", "6379")),
    password=os.environ.get("REDIS_PASSWORD"),
    socket_connect_timeout=1,
    socket_timeout=1,
)


@app.get("/")
def count():
    try:
        return f"Hello from Flask! I have been seen {store.incr('hits')} times.\n"
    except redis.RedisError as error:
        app.logger.error("counting: %s", error)
        return Response("Redis is not available.\n", status=503)


@app.get("/live")
def live():
    return "alive\n"


@app.get("/ready")
def ready():
    try:
        store.ping()
        return "ready\n"
    except redis.RedisError as error:
        return Response(f"Redis: {error}\n", status=503)
