# The end of a session deletes its ephemeral nodes: those in the tree and those on their way, but not what is already
# on its way out, nor what another session has put there (scenarios 29 and 35).

> 1 create /old mode=1
1 create /old parentCVersion 1
> 1 create /gone mode=1
2 create /gone parentCVersion 2
> 1 create /retaken mode=1
3 create /retaken parentCVersion 3
> 2 create /other mode=1
4 create /other parentCVersion 4
> apply
1 OK /old: czxid 1 mzxid 1 pzxid 1 ctime 1 mtime 1 version 0 cversion 0 aversion 0 owner 1 length 0 children 0
  created /old (31:world:anyone)
  children / (31:world:anyone)
2 OK /gone: czxid 2 mzxid 2 pzxid 2 ctime 2 mtime 2 version 0 cversion 0 aversion 0 owner 1 length 0 children 0
  created /gone (31:world:anyone)
  children / (31:world:anyone)
3 OK /retaken: czxid 3 mzxid 3 pzxid 3 ctime 3 mtime 3 version 0 cversion 0 aversion 0 owner 1 length 0 children 0
  created /retaken (31:world:anyone)
  children / (31:world:anyone)
4 OK /other: czxid 4 mzxid 4 pzxid 4 ctime 4 mtime 4 version 0 cversion 0 aversion 0 owner 2 length 0 children 0
  created /other (31:world:anyone)
  children / (31:world:anyone)
> 1 create /new mode=1
5 create /new parentCVersion 5
> 1 create /brief mode=1
6 create /brief parentCVersion 6
> 1 delete /brief
7 delete /brief
> 1 delete /gone
8 delete /gone
> 1 delete /retaken
9 delete /retaken
> 2 create /retaken mode=1
10 create /retaken parentCVersion 7
> 1 set /old data=x
11 setData /old version 1
> 1 close
12 closeSession [/old /new]
> 2 create /old
13 create /old parentCVersion 8
> apply
5 OK /new: czxid 5 mzxid 5 pzxid 5 ctime 5 mtime 5 version 0 cversion 0 aversion 0 owner 1 length 0 children 0
  created /new (31:world:anyone)
  children / (31:world:anyone)
6 OK /brief: czxid 6 mzxid 6 pzxid 6 ctime 6 mtime 6 version 0 cversion 0 aversion 0 owner 1 length 0 children 0
  created /brief (31:world:anyone)
  children / (31:world:anyone)
7 OK /brief
  deleted /brief (31:world:anyone)
  children / (31:world:anyone)
8 OK /gone
  deleted /gone (31:world:anyone)
  children / (31:world:anyone)
9 OK /retaken
  deleted /retaken (31:world:anyone)
  children / (31:world:anyone)
10 OK /retaken: czxid 10 mzxid 10 pzxid 10 ctime 10 mtime 10 version 0 cversion 0 aversion 0 owner 2 length 0 children 0
  created /retaken (31:world:anyone)
  children / (31:world:anyone)
11 OK /old: czxid 1 mzxid 11 pzxid 1 ctime 1 mtime 11 version 1 cversion 0 aversion 0 owner 1 length 1 children 0
  changed /old (31:world:anyone)
12 OK
  deleted /old (31:world:anyone)
  children / (31:world:anyone)
  deleted /new (31:world:anyone)
  children / (31:world:anyone)
13 OK /old: czxid 13 mzxid 13 pzxid 13 ctime 13 mtime 13 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /old (31:world:anyone)
  children / (31:world:anyone)
> ls /
- old other retaken zookeeper
> 1 close
14 closeSession []
> 2 close
15 closeSession [/other /retaken]
> apply
14 OK
15 OK
  deleted /other (31:world:anyone)
  children / (31:world:anyone)
  deleted /retaken (31:world:anyone)
  children / (31:world:anyone)
> ls /
- old zookeeper

# Replaying a transaction without a list takes what the session owns; one with a list takes that and what is left, also
# a node that by now is another session's, because it will be created again.
> log create /p session=7
16 OK /p: czxid 16 mzxid 16 pzxid 16 ctime 16 mtime 16 version 0 cversion 0 aversion 0 owner 7 length 0 children 0
  created /p (31:world:anyone)
  children / (31:world:anyone)
> log create /q session=7
17 OK /q: czxid 17 mzxid 17 pzxid 17 ctime 17 mtime 17 version 0 cversion 0 aversion 0 owner 7 length 0 children 0
  created /q (31:world:anyone)
  children / (31:world:anyone)
> log create /r session=8
18 OK /r: czxid 18 mzxid 18 pzxid 18 ctime 18 mtime 18 version 0 cversion 0 aversion 0 owner 8 length 0 children 0
  created /r (31:world:anyone)
  children / (31:world:anyone)
> log closeSession session=7
19 OK
  deleted /p (31:world:anyone)
  children / (31:world:anyone)
  deleted /q (31:world:anyone)
  children / (31:world:anyone)
> ls /
- old r zookeeper
> log create /p session=7
20 OK /p: czxid 20 mzxid 20 pzxid 20 ctime 20 mtime 20 version 0 cversion 0 aversion 0 owner 7 length 0 children 0
  created /p (31:world:anyone)
  children / (31:world:anyone)
> log closeSession session=7 paths=/nowhere,/none/x,/r
21 OK
  deleted /r (31:world:anyone)
  children / (31:world:anyone)
  deleted /p (31:world:anyone)
  children / (31:world:anyone)
> ls /
- old zookeeper
