# Who may do what (spec 5), and the order of the checks (spec 2.2).

> auth 1 u:secret
> 1 create /a acl=31:auth:,1:world:anyone,1:world:anyone
1 create /a parentCVersion 1
> 2 create /b acl=31:auth:
2 error INVALIDACL
> 2 create /a/x
3 error NOAUTH
> 2 create /nowhere/x acl=31:nope:x
4 error INVALIDACL
> 2 create /nowhere/x
5 error NONODE
> 1 create /a/x acl=1:world:anyone
6 create /a/x parentCVersion 1
> 2 delete /a/x
7 error NOAUTH
> 2 delete /a/none
8 error NOAUTH
> 1 delete /a/none
9 error NONODE
> 1 set /a/x
10 error NOAUTH
> 1 delete /a/x version=3
11 error BADVERSION
> 1 delete /a/x
12 delete /a/x
> 2 set /a version=9
13 error NOAUTH
> 1 set /a version=9
14 error BADVERSION
> 2 setacl /a version=9
15 error NOAUTH
> 2 setacl /a acl=31:world:x
16 error INVALIDACL
> 1 setacl /a acl=31:ip:10.0.0.0/24 version=0
17 setACL /a 31:ip:10.0.0.0/24 version 1
> 2 setacl /a acl=1:ip:10.0.0.2 version=0
18 error BADVERSION
> 2 multi set /a ; check /a
19 multi setData /a version 1; check /a version 2
> 3 setacl /a acl=8:world:anyone,16:ip:10.0.0.3
20 setACL /a 8:world:anyone,16:ip:10.0.0.3 version 2
> 2 multi check /a
21 multi error NOAUTH
> 3 setacl /a acl=31:world:anyone version=-1
22 setACL /a 31:world:anyone version 3
> apply
1 OK /a: czxid 1 mzxid 1 pzxid 1 ctime 1 mtime 1 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a (31:digest:u:secret,1:world:anyone)
  children / (31:world:anyone)
2 INVALIDACL
3 NOAUTH
4 INVALIDACL
5 NONODE
6 OK /a/x: czxid 6 mzxid 6 pzxid 6 ctime 6 mtime 6 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/x (1:world:anyone)
  children /a (31:digest:u:secret,1:world:anyone)
7 NOAUTH
8 NOAUTH
9 NONODE
10 NOAUTH
11 BADVERSION
12 OK /a/x
  deleted /a/x (1:world:anyone)
  children /a (31:digest:u:secret,1:world:anyone)
13 NOAUTH
14 BADVERSION
15 NOAUTH
16 INVALIDACL
17 OK /a: czxid 1 mzxid 1 pzxid 12 ctime 1 mtime 1 version 0 cversion 2 aversion 1 owner 0 length 0 children 0
18 BADVERSION
19 OK
  - setData OK /a
  - check OK /a
  changed /a (31:ip:10.0.0.0/24)
20 OK /a: czxid 1 mzxid 19 pzxid 12 ctime 1 mtime 19 version 1 cversion 2 aversion 2 owner 0 length 0 children 0
21 NOAUTH
  - error NOAUTH
22 OK /a: czxid 1 mzxid 19 pzxid 12 ctime 1 mtime 19 version 1 cversion 2 aversion 3 owner 0 length 0 children 0
> acl /a
31:world:anyone
> stat /a
czxid 1 mzxid 19 pzxid 12 ctime 1 mtime 19 version 1 cversion 2 aversion 3 owner 0 length 0 children 0
# Watches are told with the ACL as it was: the deleted node's own, and for the parent's children the parent's.
> 1 create /a/secret acl=31:digest:u:secret
23 create /a/secret parentCVersion 2
> 1 delete /a/secret
24 delete /a/secret
> apply
23 OK /a/secret: czxid 23 mzxid 23 pzxid 23 ctime 23 mtime 23 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/secret (31:digest:u:secret)
  children /a (31:world:anyone)
24 OK /a/secret
  deleted /a/secret (31:digest:u:secret)
  children /a (31:world:anyone)
