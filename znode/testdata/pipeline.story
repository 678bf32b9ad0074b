# Requests are checked against what is planned, not only against what is applied (spec 2.2).

> 1 create /a data=1
1 create /a parentCVersion 1
> 1 create /a
2 error NODEEXISTS
> 1 create /a/b
3 create /a/b parentCVersion 1
> 1 delete /a
4 error NOTEMPTY
> 1 set /a data=2 version=0
5 setData /a version 1
> 1 set /a data=3 version=0
6 error BADVERSION
> 1 set /a data=3 version=1
7 setData /a version 2
> 1 delete /a/b
8 delete /a/b
> apply 3
1 OK /a: czxid 1 mzxid 1 pzxid 1 ctime 1 mtime 1 version 0 cversion 0 aversion 0 owner 0 length 1 children 0
  created /a (31:world:anyone)
  children / (31:world:anyone)
2 NODEEXISTS
3 OK /a/b: czxid 3 mzxid 3 pzxid 3 ctime 3 mtime 3 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/b (31:world:anyone)
  children /a (31:world:anyone)
> 1 delete /a
9 delete /a
> 1 create /a/c
10 error NONODE
> 1 create /a
11 create /a parentCVersion 2
> apply
4 NOTEMPTY
5 OK /a: czxid 1 mzxid 5 pzxid 3 ctime 1 mtime 5 version 1 cversion 1 aversion 0 owner 0 length 1 children 1
  changed /a (31:world:anyone)
6 BADVERSION
7 OK /a: czxid 1 mzxid 7 pzxid 3 ctime 1 mtime 7 version 2 cversion 1 aversion 0 owner 0 length 1 children 1
  changed /a (31:world:anyone)
8 OK /a/b
  deleted /a/b (31:world:anyone)
  children /a (31:world:anyone)
9 OK /a
  deleted /a (31:world:anyone)
  children / (31:world:anyone)
10 NONODE
11 OK /a: czxid 11 mzxid 11 pzxid 11 ctime 11 mtime 11 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a (31:world:anyone)
  children / (31:world:anyone)
> stat /a
czxid 11 mzxid 11 pzxid 11 ctime 11 mtime 11 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
> stat /
czxid 0 mzxid 0 pzxid 11 ctime 0 mtime 0 version 0 cversion 2 aversion 0 owner 0 length 0 children 2

# The root has two names, for requests in flight as well.
> 1 setacl / acl=15:world:anyone
12 setACL / 15:world:anyone version 1
> 1 create /r
13 create /r parentCVersion 3
> 1 set / data=root version=0
14 setData / version 1
> 1 setacl / acl=31:world:anyone
15 error NOAUTH
> apply
12 OK /: czxid 0 mzxid 0 pzxid 11 ctime 0 mtime 0 version 0 cversion 2 aversion 1 owner 0 length 0 children 2
13 OK /r: czxid 13 mzxid 13 pzxid 13 ctime 13 mtime 13 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /r (31:world:anyone)
  children / (15:world:anyone)
14 OK /: czxid 0 mzxid 14 pzxid 13 ctime 0 mtime 14 version 1 cversion 3 aversion 1 owner 0 length 4 children 3
  changed / (15:world:anyone)
15 NOAUTH
> stat /
czxid 0 mzxid 14 pzxid 13 ctime 0 mtime 14 version 1 cversion 3 aversion 1 owner 0 length 4 children 3
> get /
"root"
