# A quota counts nodes and bytes at and below its path, in a node that changes without a transaction (spec 6).

> options EnforceQuota
> 1 create /a data=12345
1 create /a parentCVersion 1
> 1 create /a/b data=123
2 create /a/b parentCVersion 1
> 1 create /zookeeper/quota/a
3 create /zookeeper/quota/a parentCVersion 1
> 1 create /zookeeper/quota/a/zookeeper_limits data=count=3,bytes=-1=;byteHardLimit=20;countHardLimit=4
4 create /zookeeper/quota/a/zookeeper_limits parentCVersion 1
> 1 create /zookeeper/quota/a/zookeeper_stats data=whatever
5 create /zookeeper/quota/a/zookeeper_stats parentCVersion 2
> apply
1 OK /a: czxid 1 mzxid 1 pzxid 1 ctime 1 mtime 1 version 0 cversion 0 aversion 0 owner 0 length 5 children 0
  created /a (31:world:anyone)
  children / (31:world:anyone)
2 OK /a/b: czxid 2 mzxid 2 pzxid 2 ctime 2 mtime 2 version 0 cversion 0 aversion 0 owner 0 length 3 children 0
  created /a/b (31:world:anyone)
  children /a (31:world:anyone)
3 OK /zookeeper/quota/a: czxid 3 mzxid 3 pzxid 3 ctime 3 mtime 3 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /zookeeper/quota/a (31:world:anyone)
  children /zookeeper/quota (31:world:anyone)
4 OK /zookeeper/quota/a/zookeeper_limits: czxid 4 mzxid 4 pzxid 4 ctime 4 mtime 4 version 0 cversion 0 aversion 0 owner 0 length 51 children 0
  created /zookeeper/quota/a/zookeeper_limits (31:world:anyone)
  children /zookeeper/quota/a (31:world:anyone)
5 OK /zookeeper/quota/a/zookeeper_stats: czxid 5 mzxid 5 pzxid 5 ctime 5 mtime 5 version 0 cversion 0 aversion 0 owner 0 length 15 children 0
  created /zookeeper/quota/a/zookeeper_stats (31:world:anyone)
  children /zookeeper/quota/a (31:world:anyone)
> get /zookeeper/quota/a/zookeeper_stats
"count=2,bytes=8"
> 1 create /a/c data=1
6 create /a/c parentCVersion 2
> apply
6 OK /a/c: czxid 6 mzxid 6 pzxid 6 ctime 6 mtime 6 version 0 cversion 0 aversion 0 owner 0 length 1 children 0
  created /a/c (31:world:anyone)
  children /a (31:world:anyone)
> get /zookeeper/quota/a/zookeeper_stats
"count=3,bytes=9"
> stat /zookeeper/quota/a/zookeeper_stats
czxid 5 mzxid 5 pzxid 5 ctime 5 mtime 5 version 0 cversion 0 aversion 0 owner 0 length 15 children 0
# The soft limit of 3 nodes lets the fourth through, the hard one stops the fifth. Only what is applied counts.
> 1 create /a/d
7 create /a/d parentCVersion 3
> apply
7 OK /a/d: czxid 7 mzxid 7 pzxid 7 ctime 7 mtime 7 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/d (31:world:anyone)
  children /a (31:world:anyone)
> 1 create /a/e
8 error QUOTAEXCEEDED
> 1 set /a data=1234567890123456789
9 error QUOTAEXCEEDED
> 1 set /a data=1234567890123456
10 setData /a version 1
> 1 set /a data=x version=9
11 error BADVERSION
> 1 delete /a/d
12 delete /a/d
> 1 create /a/e
13 error QUOTAEXCEEDED
> apply
8 QUOTAEXCEEDED
9 QUOTAEXCEEDED
10 OK /a: czxid 1 mzxid 10 pzxid 7 ctime 1 mtime 10 version 1 cversion 3 aversion 0 owner 0 length 16 children 3
  changed /a (31:world:anyone)
11 BADVERSION
12 OK /a/d
  deleted /a/d (31:world:anyone)
  children /a (31:world:anyone)
13 QUOTAEXCEEDED
> get /zookeeper/quota/a/zookeeper_stats
"count=3,bytes=20"
> 1 delete /a/c
14 delete /a/c
> apply
14 OK /a/c
  deleted /a/c (31:world:anyone)
  children /a (31:world:anyone)
> get /zookeeper/quota/a/zookeeper_stats
"count=2,bytes=19"
# Of nested quotas the deepest counts.
> 1 create /zookeeper/quota/a/b
15 create /zookeeper/quota/a/b parentCVersion 3
> 1 create /zookeeper/quota/a/b/zookeeper_limits data=count=-1,bytes=2
16 create /zookeeper/quota/a/b/zookeeper_limits parentCVersion 1
> 1 create /zookeeper/quota/a/b/zookeeper_stats
17 create /zookeeper/quota/a/b/zookeeper_stats parentCVersion 2
> apply
15 OK /zookeeper/quota/a/b: czxid 15 mzxid 15 pzxid 15 ctime 15 mtime 15 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /zookeeper/quota/a/b (31:world:anyone)
  children /zookeeper/quota/a (31:world:anyone)
16 OK /zookeeper/quota/a/b/zookeeper_limits: czxid 16 mzxid 16 pzxid 16 ctime 16 mtime 16 version 0 cversion 0 aversion 0 owner 0 length 16 children 0
  created /zookeeper/quota/a/b/zookeeper_limits (31:world:anyone)
  children /zookeeper/quota/a/b (31:world:anyone)
17 OK /zookeeper/quota/a/b/zookeeper_stats: czxid 17 mzxid 17 pzxid 17 ctime 17 mtime 17 version 0 cversion 0 aversion 0 owner 0 length 15 children 0
  created /zookeeper/quota/a/b/zookeeper_stats (31:world:anyone)
  children /zookeeper/quota/a/b (31:world:anyone)
> 1 create /a/b/x data=1
18 create /a/b/x parentCVersion 1
> 1 create /a/bb data=22
19 error QUOTAEXCEEDED
> apply
18 OK /a/b/x: czxid 18 mzxid 18 pzxid 18 ctime 18 mtime 18 version 0 cversion 0 aversion 0 owner 0 length 1 children 0
  created /a/b/x (31:world:anyone)
  children /a/b (31:world:anyone)
19 QUOTAEXCEEDED
> get /zookeeper/quota/a/zookeeper_stats
"count=2,bytes=19"
> get /zookeeper/quota/a/b/zookeeper_stats
"count=2,bytes=4"
# A restart counts anew. Other keys stay, nonsense does no harm.
> 1 set /zookeeper/quota/a/b/zookeeper_stats data=rubbish
20 setData /zookeeper/quota/a/b/zookeeper_stats version 1
> 1 set /zookeeper/quota/a/zookeeper_stats data=a,;=,=;bytes=7=;zz=3;count=x;countHardLimit=9
21 setData /zookeeper/quota/a/zookeeper_stats version 1
> 1 create /a/b/y
22 create /a/b/y parentCVersion 2
> 1 create /a/bc
23 create /a/bc parentCVersion 4
> apply
20 OK /zookeeper/quota/a/b/zookeeper_stats: czxid 17 mzxid 20 pzxid 17 ctime 17 mtime 20 version 1 cversion 0 aversion 0 owner 0 length 7 children 0
  changed /zookeeper/quota/a/b/zookeeper_stats (31:world:anyone)
21 OK /zookeeper/quota/a/zookeeper_stats: czxid 5 mzxid 21 pzxid 5 ctime 5 mtime 21 version 1 cversion 0 aversion 0 owner 0 length 45 children 0
  changed /zookeeper/quota/a/zookeeper_stats (31:world:anyone)
22 OK /a/b/y: czxid 22 mzxid 22 pzxid 22 ctime 22 mtime 22 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b/y (31:world:anyone)
  children /a/b (31:world:anyone)
23 OK /a/bc: czxid 23 mzxid 23 pzxid 23 ctime 23 mtime 23 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/bc (31:world:anyone)
  children /a (31:world:anyone)
> get /zookeeper/quota/a/b/zookeeper_stats
"count=0,bytes=-1=;rubbish=-1"
> get /zookeeper/quota/a/zookeeper_stats
"count=0,bytes=7=;a=-1;countHardLimit=9;zz=3"
> restart
> get /zookeeper/quota/a/b/zookeeper_stats
"count=3,bytes=4"
> get /zookeeper/quota/a/zookeeper_stats
"count=5,bytes=20"
# Without its limits there is no quota.
> 1 delete /zookeeper/quota/a/b/zookeeper_limits
24 delete /zookeeper/quota/a/b/zookeeper_limits
> 1 create /a/b/z
25 create /a/b/z parentCVersion 3
> apply
24 OK /zookeeper/quota/a/b/zookeeper_limits
  deleted /zookeeper/quota/a/b/zookeeper_limits (31:world:anyone)
  children /zookeeper/quota/a/b (31:world:anyone)
25 OK /a/b/z: czxid 25 mzxid 25 pzxid 25 ctime 25 mtime 25 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b/z (31:world:anyone)
  children /a/b (31:world:anyone)
> get /zookeeper/quota/a/b/zookeeper_stats
"count=3,bytes=4"
> get /zookeeper/quota/a/zookeeper_stats
"count=6,bytes=20"
# Not below the root itself.
> 1 create /zookeeper/quota/zookeeper_limits data=count=1
26 create /zookeeper/quota/zookeeper_limits parentCVersion 2
> 1 create /zookeeper/quota/zookeeper_stats
27 create /zookeeper/quota/zookeeper_stats parentCVersion 3
> 1 create /free
28 create /free parentCVersion 2
> apply
26 OK /zookeeper/quota/zookeeper_limits: czxid 26 mzxid 26 pzxid 26 ctime 26 mtime 26 version 0 cversion 0 aversion 0 owner 0 length 7 children 0
  created /zookeeper/quota/zookeeper_limits (31:world:anyone)
  children /zookeeper/quota (31:world:anyone)
27 OK /zookeeper/quota/zookeeper_stats: czxid 27 mzxid 27 pzxid 27 ctime 27 mtime 27 version 0 cversion 0 aversion 0 owner 0 length 18 children 0
  created /zookeeper/quota/zookeeper_stats (31:world:anyone)
  children /zookeeper/quota (31:world:anyone)
28 OK /free: czxid 28 mzxid 28 pzxid 28 ctime 28 mtime 28 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /free (31:world:anyone)
  children / (31:world:anyone)
> get /zookeeper/quota/zookeeper_stats
"count=17,bytes=109"
