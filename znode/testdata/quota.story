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
# What a planned request makes of the data is known to the next one, what it makes of the usage is not.
> 1 set /a data=12345
15 setData /a version 2
> 1 set /a data=123456
16 setData /a version 3
> apply
15 OK /a: czxid 1 mzxid 15 pzxid 14 ctime 1 mtime 15 version 2 cversion 5 aversion 0 owner 0 length 5 children 1
  changed /a (31:world:anyone)
16 OK /a: czxid 1 mzxid 16 pzxid 14 ctime 1 mtime 16 version 3 cversion 5 aversion 0 owner 0 length 6 children 1
  changed /a (31:world:anyone)
> get /zookeeper/quota/a/zookeeper_stats
"count=2,bytes=9"
> 1 set /a data=12345678901234567890
17 error QUOTAEXCEEDED
> 1 set /a data=1234567890123456
18 setData /a version 4
> 1 set /a data=12345678901234567
19 setData /a version 5
> apply
17 QUOTAEXCEEDED
18 OK /a: czxid 1 mzxid 18 pzxid 14 ctime 1 mtime 18 version 4 cversion 5 aversion 0 owner 0 length 16 children 1
  changed /a (31:world:anyone)
19 OK /a: czxid 1 mzxid 19 pzxid 14 ctime 1 mtime 19 version 5 cversion 5 aversion 0 owner 0 length 17 children 1
  changed /a (31:world:anyone)
> get /zookeeper/quota/a/zookeeper_stats
"count=2,bytes=20"
# Of nested quotas the deepest counts.
> 1 create /zookeeper/quota/a/b
20 create /zookeeper/quota/a/b parentCVersion 3
> 1 create /zookeeper/quota/a/b/zookeeper_limits data=count=-1,bytes=2
21 create /zookeeper/quota/a/b/zookeeper_limits parentCVersion 1
> 1 create /zookeeper/quota/a/b/zookeeper_stats
22 create /zookeeper/quota/a/b/zookeeper_stats parentCVersion 2
> apply
20 OK /zookeeper/quota/a/b: czxid 20 mzxid 20 pzxid 20 ctime 20 mtime 20 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /zookeeper/quota/a/b (31:world:anyone)
  children /zookeeper/quota/a (31:world:anyone)
21 OK /zookeeper/quota/a/b/zookeeper_limits: czxid 21 mzxid 21 pzxid 21 ctime 21 mtime 21 version 0 cversion 0 aversion 0 owner 0 length 16 children 0
  created /zookeeper/quota/a/b/zookeeper_limits (31:world:anyone)
  children /zookeeper/quota/a/b (31:world:anyone)
22 OK /zookeeper/quota/a/b/zookeeper_stats: czxid 22 mzxid 22 pzxid 22 ctime 22 mtime 22 version 0 cversion 0 aversion 0 owner 0 length 15 children 0
  created /zookeeper/quota/a/b/zookeeper_stats (31:world:anyone)
  children /zookeeper/quota/a/b (31:world:anyone)
> 1 create /a/b/x data=1
23 create /a/b/x parentCVersion 1
> 1 create /a/bb data=22
24 error QUOTAEXCEEDED
> apply
23 OK /a/b/x: czxid 23 mzxid 23 pzxid 23 ctime 23 mtime 23 version 0 cversion 0 aversion 0 owner 0 length 1 children 0
  created /a/b/x (31:world:anyone)
  children /a/b (31:world:anyone)
24 QUOTAEXCEEDED
> get /zookeeper/quota/a/zookeeper_stats
"count=2,bytes=20"
> get /zookeeper/quota/a/b/zookeeper_stats
"count=2,bytes=4"
# A restart counts anew. Other keys stay, nonsense does no harm.
> 1 set /zookeeper/quota/a/b/zookeeper_stats data=rubbish
25 setData /zookeeper/quota/a/b/zookeeper_stats version 1
> 1 set /zookeeper/quota/a/zookeeper_stats data=a,;=,=;bytes=7=;zz=3;count=x;countHardLimit=9
26 setData /zookeeper/quota/a/zookeeper_stats version 1
> 1 create /a/b/y
27 create /a/b/y parentCVersion 2
> 1 create /a/bc
28 create /a/bc parentCVersion 4
> apply
25 OK /zookeeper/quota/a/b/zookeeper_stats: czxid 22 mzxid 25 pzxid 22 ctime 22 mtime 25 version 1 cversion 0 aversion 0 owner 0 length 7 children 0
  changed /zookeeper/quota/a/b/zookeeper_stats (31:world:anyone)
26 OK /zookeeper/quota/a/zookeeper_stats: czxid 5 mzxid 26 pzxid 5 ctime 5 mtime 26 version 1 cversion 0 aversion 0 owner 0 length 45 children 0
  changed /zookeeper/quota/a/zookeeper_stats (31:world:anyone)
27 OK /a/b/y: czxid 27 mzxid 27 pzxid 27 ctime 27 mtime 27 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b/y (31:world:anyone)
  children /a/b (31:world:anyone)
28 OK /a/bc: czxid 28 mzxid 28 pzxid 28 ctime 28 mtime 28 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
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
"count=5,bytes=21"
# Without its limits there is no quota.
> 1 delete /zookeeper/quota/a/b/zookeeper_limits
29 delete /zookeeper/quota/a/b/zookeeper_limits
> 1 create /a/b/z
30 create /a/b/z parentCVersion 3
> apply
29 OK /zookeeper/quota/a/b/zookeeper_limits
  deleted /zookeeper/quota/a/b/zookeeper_limits (31:world:anyone)
  children /zookeeper/quota/a/b (31:world:anyone)
30 OK /a/b/z: czxid 30 mzxid 30 pzxid 30 ctime 30 mtime 30 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b/z (31:world:anyone)
  children /a/b (31:world:anyone)
> get /zookeeper/quota/a/b/zookeeper_stats
"count=3,bytes=4"
> get /zookeeper/quota/a/zookeeper_stats
"count=6,bytes=21"
# Not below the root itself.
> 1 create /zookeeper/quota/zookeeper_limits data=count=1
31 create /zookeeper/quota/zookeeper_limits parentCVersion 2
> 1 create /zookeeper/quota/zookeeper_stats
32 create /zookeeper/quota/zookeeper_stats parentCVersion 3
> 1 create /free
33 create /free parentCVersion 2
> apply
31 OK /zookeeper/quota/zookeeper_limits: czxid 31 mzxid 31 pzxid 31 ctime 31 mtime 31 version 0 cversion 0 aversion 0 owner 0 length 7 children 0
  created /zookeeper/quota/zookeeper_limits (31:world:anyone)
  children /zookeeper/quota (31:world:anyone)
32 OK /zookeeper/quota/zookeeper_stats: czxid 32 mzxid 32 pzxid 32 ctime 32 mtime 32 version 0 cversion 0 aversion 0 owner 0 length 18 children 0
  created /zookeeper/quota/zookeeper_stats (31:world:anyone)
  children /zookeeper/quota (31:world:anyone)
33 OK /free: czxid 33 mzxid 33 pzxid 33 ctime 33 mtime 33 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /free (31:world:anyone)
  children / (31:world:anyone)
> get /zookeeper/quota/zookeeper_stats
"count=17,bytes=110"
