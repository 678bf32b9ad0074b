# Names count the creations below a parent. Deletions do not matter, nor does a path that ends in a slash.

> 1 create /q
1 create /q parentCVersion 1
> 1 create /q/n- mode=2
2 create /q/n-0000000000 parentCVersion 1
> 1 delete /q/n-0000000000
3 delete /q/n-0000000000
> 1 create /q/n- mode=2
4 create /q/n-0000000001 parentCVersion 2
> 1 create /q/ mode=3
5 create /q/0000000002 parentCVersion 3
> 1 create /q/plain
6 create /q/plain parentCVersion 4
> 1 create /q/n- mode=2
7 create /q/n-0000000004 parentCVersion 5
> apply
1 OK /q: czxid 1 mzxid 1 pzxid 1 ctime 1 mtime 1 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /q (31:world:anyone)
  children / (31:world:anyone)
2 OK /q/n-0000000000: czxid 2 mzxid 2 pzxid 2 ctime 2 mtime 2 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /q/n-0000000000 (31:world:anyone)
  children /q (31:world:anyone)
3 OK /q/n-0000000000
  deleted /q/n-0000000000 (31:world:anyone)
  children /q (31:world:anyone)
4 OK /q/n-0000000001: czxid 4 mzxid 4 pzxid 4 ctime 4 mtime 4 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /q/n-0000000001 (31:world:anyone)
  children /q (31:world:anyone)
5 OK /q/0000000002: czxid 5 mzxid 5 pzxid 5 ctime 5 mtime 5 version 0 cversion 0 aversion 0 owner 1 length 0 children 0
  created /q/0000000002 (31:world:anyone)
  children /q (31:world:anyone)
6 OK /q/plain: czxid 6 mzxid 6 pzxid 6 ctime 6 mtime 6 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /q/plain (31:world:anyone)
  children /q (31:world:anyone)
7 OK /q/n-0000000004: czxid 7 mzxid 7 pzxid 7 ctime 7 mtime 7 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /q/n-0000000004 (31:world:anyone)
  children /q (31:world:anyone)
> stat /q
czxid 1 mzxid 1 pzxid 7 ctime 1 mtime 1 version 0 cversion 6 aversion 0 owner 0 length 0 children 4

# The counter is an int32 that wraps; the tree never lets it go back, so the name is the same from then on.
> log create /q/far version=2147483646
8 OK /q/far: czxid 8 mzxid 8 pzxid 8 ctime 8 mtime 8 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /q/far (31:world:anyone)
  children /q (31:world:anyone)
> 1 create /q/n- mode=2
9 create /q/n-2147483646 parentCVersion 2147483647
> 1 create /q/n- mode=2
10 create /q/n-2147483647 parentCVersion -2147483648
> 1 create /q/n- mode=2
11 error NODEEXISTS
> apply
9 OK /q/n-2147483646: czxid 9 mzxid 9 pzxid 9 ctime 9 mtime 9 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /q/n-2147483646 (31:world:anyone)
  children /q (31:world:anyone)
10 OK /q/n-2147483647: czxid 10 mzxid 10 pzxid 10 ctime 10 mtime 10 version 0 cversion 0 aversion 0 owner 0 length 0 children 0
  created /q/n-2147483647 (31:world:anyone)
  children /q (31:world:anyone)
11 NODEEXISTS
> stat /q
czxid 1 mzxid 1 pzxid 9 ctime 1 mtime 1 version 0 cversion -9 aversion 0 owner 0 length 0 children 7
