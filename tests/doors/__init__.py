"""The ways into an experiment, tried by their own clients (smbclient, OpenSSH's sftp, rsync over SSH), and judged by
what the server's disk looks like afterwards, not by what a client says. Used on a booted Debian 13 (tests/host) and
on a real OpenMediaVault (tests/omv).

`clients` knows how each client is called; `cells` knows who may do what, and finds out what they could do.
"""
