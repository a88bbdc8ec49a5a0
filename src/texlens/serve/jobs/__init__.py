"""Jobs: thousands of pictures in one request, read when there is time.

In: an archive, form or JSON with pictures. Out: a file of readings, one line a picture. What was accepted is
on the disk: a job survives restarts and is deleted a day after it has finished.

`archive` reads and writes the pictures, `store` keeps the folders of jobs, `runner` reads their pictures
through the queue of all clients, and `routes` has the addresses.
"""
