# Containers go when their last child has gone, TTL nodes when they are old and empty (spec 2.3).

> options ExtendedTypes
> 1 create /used mode=4 op=19
1 createContainer /used parentCVersion 1
> 1 create /used/x
2 create /used/x parentCVersion 1
> 1 delete /used/x
3 delete /used/x
> 1 create /unused mode=4 op=19
4 createContainer /unused parentCVersion 2
> 1 create /full mode=4 op=19
5 createContainer /full parentCVersion 3
> 1 create /full/x
6 create /full/x parentCVersion 1
> 1 create /ttl mode=5 ttl=100
7 createTTL /ttl parentCVersion 4
> 1 create /ttl/x
8 create /ttl/x parentCVersion 1
> 1 create /ttl2- mode=6 ttl=50
9 createTTL /ttl2-0000000004 parentCVersion 5
> 1 create /bad mode=5 ttl=0
10 error BADARGUMENTS
> 1 create /bad mode=0 ttl=7
11 error BADARGUMENTS
> 1 create /bad mode=5
12 error BADARGUMENTS
> 1 create /e mode=1
13 create /e parentCVersion 6
> apply
1 OK /used: czxid 1 mzxid 1 pzxid 1 ctime 1 mtime 1 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /used (31:world:anyone)
  children / (31:world:anyone)
2 OK /used/x: czxid 2 mzxid 2 pzxid 2 ctime 2 mtime 2 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /used/x (31:world:anyone)
  children /used (31:world:anyone)
3 OK /used/x
  deleted /used/x (31:world:anyone)
  children /used (31:world:anyone)
4 OK /unused: czxid 4 mzxid 4 pzxid 4 ctime 4 mtime 4 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /unused (31:world:anyone)
  children / (31:world:anyone)
5 OK /full: czxid 5 mzxid 5 pzxid 5 ctime 5 mtime 5 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /full (31:world:anyone)
  children / (31:world:anyone)
6 OK /full/x: czxid 6 mzxid 6 pzxid 6 ctime 6 mtime 6 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /full/x (31:world:anyone)
  children /full (31:world:anyone)
7 OK /ttl: czxid 7 mzxid 7 pzxid 7 ctime 7 mtime 7 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /ttl (31:world:anyone)
  children / (31:world:anyone)
8 OK /ttl/x: czxid 8 mzxid 8 pzxid 8 ctime 8 mtime 8 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /ttl/x (31:world:anyone)
  children /ttl (31:world:anyone)
9 OK /ttl2-0000000004: czxid 9 mzxid 9 pzxid 9 ctime 9 mtime 9 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /ttl2-0000000004 (31:world:anyone)
  children / (31:world:anyone)
10 BADARGUMENTS
11 BADARGUMENTS
12 BADARGUMENTS
13 OK /e: czxid 13 mzxid 13 pzxid 13 ctime 13 mtime 13 version 0 cversion 0 aversion 0 owner 1 length 0 children 0
  created /e (31:world:anyone)
  children / (31:world:anyone)
> stat /ttl
czxid 7 mzxid 7 pzxid 8 ctime 7 mtime 7 version 0 cversion 1 aversion 0 owner 0 length 0 children 1
> due 20 0
/used
> due 20 10
/used
/unused
> due 60 0
/used
/ttl2-0000000004
> due 1000 0
/used
/ttl2-0000000004
# Whether they still are is looked at again when it comes to it.
> 1 create /used/y
14 create /used/y parentCVersion 2
> 0 reap /used
15 error NOTEMPTY
> 1 delete /used/y
16 delete /used/y
> 0 reap /used
17 deleteContainer /used
> 0 reap /used
18 error NONODE
> 1 create /used
19 create /used parentCVersion 7
> 0 reap /used
20 error BADVERSION
> 0 reap /e
21 error BADVERSION
> 0 reap /ttl
22 error NOTEMPTY
> 0 reap /zookeeper
23 error BADARGUMENTS
> 0 reap /none/x
24 error NONODE
> apply
14 OK /used/y: czxid 14 mzxid 14 pzxid 14 ctime 14 mtime 14 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /used/y (31:world:anyone)
  children /used (31:world:anyone)
15 NOTEMPTY
16 OK /used/y
  deleted /used/y (31:world:anyone)
  children /used (31:world:anyone)
17 OK /used
  deleted /used (31:world:anyone)
  children / (31:world:anyone)
18 NONODE
19 OK /used: czxid 19 mzxid 19 pzxid 19 ctime 19 mtime 19 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /used (31:world:anyone)
  children / (31:world:anyone)
20 BADVERSION
21 BADVERSION
22 NOTEMPTY
23 BADARGUMENTS
24 NONODE
> ls /
- e full ttl ttl2-0000000004 unused used zookeeper
> restart
> due 1000 0
/ttl2-0000000004
# Without extended types, TTLs are refused, and a TTL owner is a session's.
> options
> 1 create /t mode=5 ttl=5
1 error UNIMPLEMENTED
> 1 create /t mode=5
2 error UNIMPLEMENTED
