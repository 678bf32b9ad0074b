# A multi sees its earlier operations; when one fails, none of it happened, also for what is planned next (spec 2.4).

> 1 create /a
1 create /a parentCVersion 1
> 1 create /a/e mode=1
2 create /a/e parentCVersion 1
> 1 multi create /a/x ; create /a/s- mode=2 ; set /a data=new version=0 ; check /a version=1 ; delete /a/x
3 multi create /a/x parentCVersion 2; create /a/s-0000000002 parentCVersion 3; setData /a version 1; check /a version 2; delete /a/x
> 1 multi create /a/y ; delete /a/e ; set /a data=lost ; check /a version=7 ; create /a/z
4 multi create /a/y parentCVersion 4; delete /a/e; setData /a version 2; error BADVERSION; error RUNTIMEINCONSISTENCY
# The rolled back delete must not hide the ephemeral node from its session's end, nor the names be used up.
> 1 create /a/s- mode=2
5 create /a/s-0000000003 parentCVersion 4
> 1 close
6 closeSession [/a/e]
> 1 multi check /nope
7 multi error NONODE
> apply
1 OK /a: czxid 1 mzxid 1 pzxid 1 ctime 1 mtime 1 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a (31:world:anyone)
  children / (31:world:anyone)
2 OK /a/e: czxid 2 mzxid 2 pzxid 2 ctime 2 mtime 2 version 0 cversion 0 aversion 0 owner 1 length 0 children 0
  created /a/e (31:world:anyone)
  children /a (31:world:anyone)
3 OK
  - create OK /a/x
  - create OK /a/s-0000000002
  - setData OK /a
  - check OK /a
  - delete OK /a/x
  created /a/x (31:world:anyone)
  children /a (31:world:anyone)
  created /a/s-0000000002 (31:world:anyone)
  children /a (31:world:anyone)
  changed /a (31:world:anyone)
  deleted /a/x (31:world:anyone)
  children /a (31:world:anyone)
4 BADVERSION
  - error OK
  - error OK
  - error OK
  - error BADVERSION
  - error RUNTIMEINCONSISTENCY
5 OK /a/s-0000000003: czxid 5 mzxid 5 pzxid 5 ctime 5 mtime 5 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /a/s-0000000003 (31:world:anyone)
  children /a (31:world:anyone)
6 OK
  deleted /a/e (31:world:anyone)
  children /a (31:world:anyone)
7 NONODE
  - error NONODE

# Nothing at all is a multi too, but a failed one keeps its place in the log.
> 2 multi create /b ; create /b
8 multi create /b parentCVersion 2; error NODEEXISTS
> 2 create /b
9 create /b parentCVersion 2
> apply
8 NODEEXISTS
  - error OK
  - error NODEEXISTS
9 OK /b: czxid 9 mzxid 9 pzxid 9 ctime 9 mtime 9 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /b (31:world:anyone)
  children / (31:world:anyone)

# create flags for a container make one (spec 2.3), and what a multi may not hold is refused whole.
> 2 multi create /c1 mode=4 ; create /c2 mode=4 op=15 ; create /c3 mode=4 op=19
10 multi createContainer /c1 parentCVersion 3; createContainer /c2 parentCVersion 4; createContainer /c3 parentCVersion 5
> 2 multi create /ok ; create /t mode=5
11 error MARSHALLINGERROR
> 2 multi create /ok ; setacl /ok
12 error MARSHALLINGERROR
> 2 multi create /ok ; reap /c1
13 error MARSHALLINGERROR
> apply
10 OK
  - createContainer OK /c1
  - createContainer OK /c2
  - createContainer OK /c3
  created /c1 (31:world:anyone)
  children / (31:world:anyone)
  created /c2 (31:world:anyone)
  children / (31:world:anyone)
  created /c3 (31:world:anyone)
  children / (31:world:anyone)
11 MARSHALLINGERROR
12 MARSHALLINGERROR
13 MARSHALLINGERROR
