"""What a request passes through before the application sees it.

In: a request. Out: the same with a client's name, or a problem document. From outside to inside: `prefix`
(the path of a proxy), `access_log` (its id, its line in the log, its count), `auth` with `tokens` (who may
send it), `body` (the limits of its body). `problems` makes the error responses.
"""
