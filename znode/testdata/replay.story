# Replaying over a fuzzy snapshot repeats what is already there. Nothing may go back (spec 3, scenarios 29 and 30).

> log create /a version=5
1 OK /a: czxid 1 mzxid 1 pzxid 1 ctime 1 mtime 1 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a (31:world:anyone)
  children / (31:world:anyone)
> log create /a/b version=9
2 OK /a/b: czxid 2 mzxid 2 pzxid 2 ctime 2 mtime 2 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b (31:world:anyone)
  children /a (31:world:anyone)
> stat /a
czxid 1 mzxid 1 pzxid 2 ctime 1 mtime 1 version 0 cversion 17 aversion 0 owner 0 length 0 children 1
# The same again, as from an older part of the log: the ACL is repaired, the parent's numbers stay.
> log create /a/b version=3 acl=1:world:anyone
3 NODEEXISTS /a/b
> stat /a
czxid 1 mzxid 1 pzxid 2 ctime 1 mtime 1 version 0 cversion 17 aversion 0 owner 0 length 0 children 1
> acl /a/b
1:world:anyone
> log create2 /a/b version=12
4 NODEEXISTS /a/b
> stat /a
czxid 1 mzxid 1 pzxid 4 ctime 1 mtime 1 version 0 cversion 23 aversion 0 owner 0 length 0 children 1
> log delete /a/none
5 NONODE /a/none
> stat /a
czxid 1 mzxid 1 pzxid 5 ctime 1 mtime 1 version 0 cversion 23 aversion 0 owner 0 length 0 children 1
> log delete /no/parent
6 NONODE /no/parent
> log create /no/parent
7 NONODE /no/parent
> log setData /none data=x
8 NONODE /none
# A node that was deleted, made again and given children before it was written: they go with it, to come again.
> log create /a/b/c
9 OK /a/b/c: czxid 9 mzxid 9 pzxid 9 ctime 9 mtime 9 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b/c (31:world:anyone)
  children /a/b (31:world:anyone)
> log create /a/b/c/d session=5
10 OK /a/b/c/d: czxid 10 mzxid 10 pzxid 10 ctime 10 mtime 10 version 0 cversion 0 aversion 0 owner 5 length 0 children 0
  created /a/b/c/d (31:world:anyone)
  children /a/b/c (31:world:anyone)
> log create /a/b/e
11 OK /a/b/e: czxid 11 mzxid 11 pzxid 11 ctime 11 mtime 11 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b/e (31:world:anyone)
  children /a/b (31:world:anyone)
> log delete /a/b
12 OK /a/b
  deleted /a/b (31:world:anyone)
  children /a (31:world:anyone)
> ls /a
-
> log create /a/b
13 OK /a/b: czxid 13 mzxid 13 pzxid 13 ctime 13 mtime 13 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b (31:world:anyone)
  children /a (31:world:anyone)
> log create /a/b/c
14 OK /a/b/c: czxid 14 mzxid 14 pzxid 14 ctime 14 mtime 14 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b/c (31:world:anyone)
  children /a/b (31:world:anyone)
> ls /a/b
- c
# Before 3.4 a create did not tell the parent's count.
> log create /a/v0 v0=1
15 OK /a/v0: czxid 15 mzxid 15 pzxid 15 ctime 15 mtime 15 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/v0 (31:world:anyone)
  children /a (31:world:anyone)
> stat /a
czxid 1 mzxid 1 pzxid 15 ctime 1 mtime 1 version 0 cversion 26 aversion 0 owner 0 length 0 children 2
# A reconfiguration writes the configuration node, which no digest covers.
> log reconfig /zookeeper/config data=server.1=x version=-1
16 OK /zookeeper/config: czxid 0 mzxid 16 pzxid 0 ctime 0 mtime 16 version -1 cversion 0 aversion -1 owner 0 length 10 children 0
  changed /zookeeper/config (1:world:anyone)
> stat /zookeeper/config
czxid 0 mzxid 16 pzxid 0 ctime 0 mtime 16 version -1 cversion 0 aversion -1 owner 0 length 10 children 0
> get /zookeeper/config
"server.1=x"
