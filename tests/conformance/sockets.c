/* SPDX-License-Identifier: MIT */
/*
 * AF_UNIX sockets, unix(7): names, connections, messages, rights, credentials,
 * readiness, and what a closed peer means.
 */
#include "conform.h"

#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#define LEN(name)	((socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1))

static struct sockaddr_un
named(const char *name, size_t len)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path, name, len);
	return a;
}

static int
bound(int type, const char *path)
{
	struct sockaddr_un a = named(path, strlen(path));
	int s = socket(AF_UNIX, type, 0);

	REQUIRE(s >= 0);
	EQUAL(bind(s, (void *)&a, sizeof(a)), 0);
	return s;
}

static int
dial(int type, const char *path)
{
	struct sockaddr_un a = named(path, strlen(path));
	int s = socket(AF_UNIX, type, 0);

	REQUIRE(s >= 0);
	return connect(s, (void *)&a, sizeof(a)) == 0 ? s : -1;
}

static void
pair(int type, int s[2])
{
	EQUAL(socketpair(AF_UNIX, type, 0, s), 0);
}

static short
ready(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI };

	REQUIRE(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static int
option(int fd, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	EQUAL(getsockopt(fd, SOL_SOCKET, name, &v, &len), 0);
	EQUAL(len, sizeof(v));
	return v;
}

static void
set(int fd, int name, int v)
{
	EQUAL(setsockopt(fd, SOL_SOCKET, name, &v, sizeof(v)), 0);
}

/* ---- rights ---- */

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(16 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

static ssize_t
send_fds(int s, const void *data, size_t len, const int *fds, unsigned count)
{
	union control c = { 0 };
	struct iovec v = { (void *)data, len };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(count * sizeof(int)) };

	c.head.cmsg_level = SOL_SOCKET;
	c.head.cmsg_type = SCM_RIGHTS;
	c.head.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&c.head), fds, count * sizeof(int));
	return sendmsg(s, &m, 0);
}

/* What came with a message: the number of descriptors, in fds. */
static unsigned
receive_fds(int s, int *fds, int flags, int *message_flags, size_t room)
{
	char data[64];
	union control c = { 0 };
	struct iovec v = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = room };
	struct cmsghdr *h;
	unsigned n = 0;

	REQUIRE(recvmsg(s, &m, flags) >= 0);
	if (message_flags != NULL)
		*message_flags = m.msg_flags;
	for (h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(h), n * sizeof(int));
	}
	return n;
}

static unsigned
open_files(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* ---- tests ---- */

static void
arguments_are_checked(void)
{
	struct sockaddr_un a = named("x", 1);
	int s, file = open("/dev/null", O_RDWR), v[2];

	FAILS(socket(AF_UNIX, 99, 0), EINVAL);
	FAILS(socket(AF_UNIX, SOCK_RDM, 0), ESOCKTNOSUPPORT);
	FAILS(socket(AF_UNIX, SOCK_STREAM, 2), EPROTONOSUPPORT);
	FAILS(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
	FAILS(socket(45, SOCK_STREAM, 0), EAFNOSUPPORT);
	FAILS(socket(AF_UNIX, SOCK_STREAM | 0x10000, 0), EINVAL);
	FAILS(bind(file, (void *)&a, sizeof(a)), ENOTSOCK);
	FAILS(bind(999, (void *)&a, sizeof(a)), EBADF);
	FAILS(send(file, "x", 1, 0), ENOTSOCK);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	REQUIRE(s >= 0);
	EQUAL(fcntl(s, F_GETFD), FD_CLOEXEC);
	EQUAL(fcntl(s, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	FAILS(bind(s, (void *)&a, 2 + 200), EINVAL);
	FAILS(bind(s, (void *)&a, 1), EINVAL);
	FAILS(bind(s, (void *)1, sizeof(a)), EFAULT);
	a.sun_family = AF_INET;
	FAILS(bind(s, (void *)&a, sizeof(a)), EINVAL);
	FAILS(listen(s, 1), EINVAL);
	FAILS(accept(s, NULL, NULL), EINVAL);
	FAILS(send(s, "x", 1, 0), ENOTCONN);
	FAILS(recv(s, v, 1, 0), EINVAL);
	FAILS(getpeername(s, (void *)&a, &(socklen_t){ sizeof(a) }), ENOTCONN);
	FAILS(shutdown(s, 3), EINVAL);
	FAILS(lseek(s, 0, SEEK_SET), ESPIPE);
	FAILS(ftruncate(s, 0), EINVAL);
	FAILS(accept4(s, NULL, NULL, 0x10), EINVAL);
	FAILS(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, 8), EFAULT);
	FAILS(syscall(SYS_sendmsg, s, 8, 0), EFAULT);
	FAILS(syscall(SYS_recvmsg, s, 8, 0), EFAULT);
}

static void
a_pair_carries_bytes_both_ways(void)
{
	char buf[16];
	int s[2];

	pair(SOCK_STREAM, s);
	EQUAL(write(s[0], "hello", 5), 5);
	EQUAL(write(s[0], "world", 5), 5);
	EQUAL(write(s[1], "back", 4), 4);
	EQUAL(read(s[1], buf, 7), 7);
	REQUIRE(memcmp(buf, "hellowo", 7) == 0);
	EQUAL(read(s[1], buf, 16), 3);
	REQUIRE(memcmp(buf, "rld", 3) == 0);
	EQUAL(read(s[0], buf, 16), 4);
	FAILS(recv(s[0], buf, 16, MSG_DONTWAIT), EAGAIN);
	EQUAL(read(s[0], buf, 0), 0);
	EQUAL(write(s[0], buf, 0), 0);
	FAILS(recv(s[1], buf, 16, MSG_DONTWAIT), EAGAIN);
	FAILS(write(s[0], (void *)8, 4), EFAULT);
	EQUAL(write(s[0], "abc", 3), 3);
	FAILS(read(s[1], (void *)8, 4), EFAULT);
	EQUAL(read(s[1], buf, 16), 3);
}

static void
large_amounts_arrive_whole(void)
{
	enum { SIZE = 3 << 20 };
	static unsigned char out[SIZE], in[SIZE];
	uint64_t seed = 1;
	size_t got = 0;
	int s[2];
	pid_t p;

	for (size_t i = 0; i < SIZE; i++)
		out[i] = (unsigned char)(next_random(&seed) >> 3);
	pair(SOCK_STREAM, s);
	p = fork();
	REQUIRE(p >= 0);
	if (p == 0) {
		close(s[1]);
		_exit(write(s[0], out, SIZE) == SIZE ? 0 : 1);
	}
	close(s[0]);
	while (got < SIZE) {
		ssize_t n = read(s[1], in + got, 1 + next_random(&seed) % 100000);

		REQUIRE(n > 0);
		got += (size_t)n;
	}
	EQUAL(read(s[1], in, 1), 0);
	REQUIRE(memcmp(in, out, SIZE) == 0);
	EQUAL(waitpid(p, &s[0], 0), p);
	EQUAL(s[0], 0);
}

static void
names_in_the_file_system(void)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	struct stat st;
	int s, c;

	in_new_folder();
	umask(027);
	s = bound(SOCK_STREAM, "name");
	EQUAL(stat("name", &st), 0);
	EQUAL(st.st_mode, S_IFSOCK | 0750);
	FAILS(open("name", O_RDWR), ENXIO);
	EQUAL(getsockname(s, (void *)&a, &len), 0);
	EQUAL(len, offsetof(struct sockaddr_un, sun_path) + 5);
	REQUIRE(strcmp(a.sun_path, "name") == 0);
	a = named("other", 5);
	FAILS(bind(s, (void *)&a, sizeof(a)), EINVAL);
	c = socket(AF_UNIX, SOCK_STREAM, 0);
	a = named("name", 4);
	FAILS(bind(c, (void *)&a, sizeof(a)), EADDRINUSE);
	FAILS(connect(c, (void *)&a, sizeof(a)), ECONNREFUSED);
	a = named("none", 4);
	FAILS(connect(c, (void *)&a, sizeof(a)), ENOENT);
	a = named("none/x", 6);
	FAILS(bind(c, (void *)&a, sizeof(a)), ENOENT);
	write_file("file", "");
	a = named("file", 4);
	FAILS(connect(c, (void *)&a, sizeof(a)), ECONNREFUSED);
	EQUAL(listen(s, 5), 0);
	a = named("name", 4);
	EQUAL(rename("name", "moved"), 0);
	FAILS(connect(c, (void *)&a, sizeof(a)), ENOENT);
	a = named("moved", 5);
	EQUAL(connect(c, (void *)&a, sizeof(a)), 0);
	len = sizeof(a);
	EQUAL(getpeername(c, (void *)&a, &len), 0);
	REQUIRE(strcmp(a.sun_path, "name") == 0);
	EQUAL(dial(SOCK_DGRAM, "moved"), -1);
	EQUAL(errno, EPROTOTYPE);
	close(s);
	EQUAL(dial(SOCK_STREAM, "moved"), -1);
	EQUAL(errno, ECONNREFUSED);
	EQUAL(unlink("moved"), 0);
}

static void
permission_to_connect_is_to_write(void)
{
	struct sockaddr_un a = named("door", 4);
	int s;

	in_new_folder();
	EQUAL(chmod(".", 0777), 0);
	s = bound(SOCK_STREAM, "door");
	EQUAL(listen(s, 5), 0);
	EQUAL(chmod("door", 0755), 0);
	EQUAL(setresuid(1000, 1000, 1000), 0);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	FAILS(connect(s, (void *)&a, sizeof(a)), EACCES);
}

static void
abstract_names_are_bytes(void)
{
	struct sockaddr_un a = named("\0tessera\0x", 10), got;
	socklen_t len = sizeof(got);
	int s = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);

	EQUAL(bind(s, (void *)&a, LEN("\0tessera\0x")), 0);
	FAILS(bind(c, (void *)&a, LEN("\0tessera\0x")), EADDRINUSE);
	EQUAL(bind(d, (void *)&a, LEN("\0tessera\0x")), 0);	/* another type, another name */
	EQUAL(getsockname(s, (void *)&got, &len), 0);
	EQUAL(len, LEN("\0tessera\0x"));
	REQUIRE(memcmp(got.sun_path, "\0tessera\0x", 10) == 0);
	EQUAL(listen(s, 1), 0);
	FAILS(connect(c, (void *)&a, LEN("\0tessera\0")), ECONNREFUSED);
	EQUAL(connect(c, (void *)&a, LEN("\0tessera\0x")), 0);
	close(s);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	EQUAL(bind(s, (void *)&a, LEN("\0tessera\0x")), 0);	/* free again */
}

static void
autobind_gives_a_name(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(a);
	int s = socket(AF_UNIX, SOCK_DGRAM, 0);

	EQUAL(getsockname(s, (void *)&a, &len), 0);
	EQUAL(len, 2);
	EQUAL(bind(s, (void *)&a, 2), 0);
	len = sizeof(a);
	EQUAL(getsockname(s, (void *)&a, &len), 0);
	EQUAL(len, 2 + 6);
	EQUAL(a.sun_path[0], 0);
	REQUIRE(strspn(a.sun_path + 1, "0123456789abcdef") >= 5);
}

static void
connections_wait_to_be_accepted(void)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	char buf[8];
	int s, c, w;

	in_new_folder();
	s = bound(SOCK_STREAM, "door");
	EQUAL(listen(s, 3), 0);
	EQUAL(option(s, SO_ACCEPTCONN), 1);
	EQUAL(ready(s), 0);
	EQUAL(fcntl(s, F_SETFL, O_NONBLOCK), 0);
	FAILS(accept(s, NULL, NULL), EAGAIN);
	c = dial(SOCK_STREAM, "door");
	REQUIRE(c >= 0);
	EQUAL(ready(s), POLLIN);
	EQUAL(write(c, "early", 5), 5);		/* before it is accepted */
	w = accept4(s, (void *)&a, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	REQUIRE(w >= 0);
	EQUAL(len, 2);				/* the caller has no name */
	EQUAL(fcntl(w, F_GETFD), FD_CLOEXEC);
	EQUAL(fcntl(w, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	EQUAL(read(w, buf, 8), 5);
	FAILS(read(w, buf, 8), EAGAIN);
	len = sizeof(a);
	EQUAL(getsockname(w, (void *)&a, &len), 0);
	REQUIRE(strcmp(a.sun_path, "door") == 0);
	a = named("door", 4);
	FAILS(connect(c, (void *)&a, sizeof(a)), EISCONN);
	FAILS(connect(s, (void *)&a, sizeof(a)), EINVAL);
	FAILS(listen(c, 1), EINVAL);
	FAILS(send(s, "x", 1, MSG_NOSIGNAL), ENOTCONN);
	FAILS(sendto(c, "x", 1, 0, (void *)&a, sizeof(a)), EISCONN);
	FAILS(ioctl(s, FIONREAD, &len), EINVAL);
}

static void
a_full_backlog_makes_callers_wait(void)
{
	struct sockaddr_un a = named("door", 4);
	int s, c[8], n = 0, status;
	pid_t p;

	in_new_folder();
	s = bound(SOCK_STREAM, "door");
	EQUAL(listen(s, 1), 0);
	for (; n < 8; n++) {
		c[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (connect(c[n], (void *)&a, sizeof(a)) != 0)
			break;
	}
	EQUAL(n, 2);
	EQUAL(errno, EAGAIN);
	p = fork();
	REQUIRE(p >= 0);
	if (p == 0)
		_exit(dial(SOCK_STREAM, "door") >= 0 ? 0 : 1);
	EVENTUALLY(state_of(p) == 'S');
	REQUIRE(accept(s, NULL, NULL) >= 0);
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
	p = fork();
	REQUIRE(p >= 0);
	if (p == 0) {
		close(s);
		_exit(dial(SOCK_STREAM, "door") < 0 && errno == ECONNREFUSED ? 0 : 1);
	}
	EVENTUALLY(state_of(p) == 'S');
	close(s);			/* refused, also while they wait */
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
}

static void
who_was_not_accepted_is_reset(void)
{
	char buf[4];
	int s, c;

	in_new_folder();
	s = bound(SOCK_STREAM, "door");
	EQUAL(listen(s, 3), 0);
	c = dial(SOCK_STREAM, "door");
	REQUIRE(c >= 0);
	close(s);
	EQUAL(ready(c) & (POLLHUP | POLLERR), POLLHUP | POLLERR);
	EQUAL(option(c, SO_ERROR), ECONNRESET);
	EQUAL(option(c, SO_ERROR), 0);
	EQUAL(read(c, buf, 4), 0);
}

static void
a_closed_peer_is_end_of_file(void)
{
	char buf[8];
	int s[2];

	signal(SIGPIPE, SIG_IGN);
	pair(SOCK_STREAM, s);
	EQUAL(ready(s[0]), POLLOUT);
	EQUAL(write(s[1], "last", 4), 4);
	close(s[1]);
	EQUAL(ready(s[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	EQUAL(read(s[0], buf, 8), 4);
	EQUAL(read(s[0], buf, 8), 0);
	FAILS(write(s[0], "x", 1), EPIPE);
	EQUAL(ready(s[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
	pair(SOCK_STREAM, s);
	EQUAL(write(s[0], "unread", 6), 6);
	close(s[1]);
	EQUAL(ready(s[0]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP | POLLERR);
	FAILS(read(s[0], buf, 8), ECONNRESET);
	EQUAL(read(s[0], buf, 8), 0);
}

static void
write_to_nobody(void)
{
	int s[2];

	pair(SOCK_STREAM, s);
	close(s[1]);
	FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	write(s[0], "x", 1);
}

static void
a_broken_stream_is_a_signal(void)
{
	DIES(write_to_nobody, SIGPIPE);
}

static void
shutdown_is_one_way(void)
{
	char buf[8];
	int s[2];

	signal(SIGPIPE, SIG_IGN);
	pair(SOCK_STREAM, s);
	EQUAL(write(s[0], "abc", 3), 3);
	EQUAL(shutdown(s[0], SHUT_WR), 0);
	FAILS(write(s[0], "x", 1), EPIPE);
	EQUAL(ready(s[1]), POLLIN | POLLOUT | POLLRDHUP);
	EQUAL(read(s[1], buf, 8), 3);
	EQUAL(read(s[1], buf, 8), 0);
	EQUAL(write(s[1], "back", 4), 4);
	EQUAL(read(s[0], buf, 8), 4);
	EQUAL(shutdown(s[0], SHUT_RD), 0);
	EQUAL(read(s[0], buf, 8), 0);
	FAILS(write(s[1], "x", 1), EPIPE);
	EQUAL(ready(s[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

static void
unconnected_sockets_are_hung_up(void)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0), q = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	EQUAL(ready(s), POLLOUT | POLLHUP);
	EQUAL(ready(d), POLLOUT);
	EQUAL(ready(q), POLLOUT | POLLHUP);
}

static void
streams_fill_and_drain(void)
{
	static char block[4096];
	size_t in = 0, out = 0;
	ssize_t n;
	int s[2];

	pair(SOCK_STREAM, s);
	EQUAL(fcntl(s[0], F_SETFL, O_NONBLOCK), 0);
	while ((n = write(s[0], block, sizeof(block))) > 0)
		in += (size_t)n;
	EQUAL(errno, EAGAIN);
	REQUIRE(in >= 65536);
	EQUAL(ready(s[0]), 0);
	EQUAL(ioctl(s[1], FIONREAD, &n), 0);
	EQUAL((int)n, in);
	while ((n = recv(s[1], block, sizeof(block), MSG_DONTWAIT)) > 0)
		out += (size_t)n;
	EQUAL(out, in);
	EQUAL(ready(s[0]), POLLOUT);
}

static void
a_blocked_writer_is_woken(void)
{
	static char block[1 << 20];
	int s[2], status;
	size_t got = 0;
	pid_t p;

	pair(SOCK_STREAM, s);
	p = fork();
	REQUIRE(p >= 0);
	if (p == 0)
		_exit(write(s[0], block, sizeof(block)) == sizeof(block) ? 0 : 1);
	EVENTUALLY(state_of(p) == 'S');
	while (got < sizeof(block)) {
		ssize_t n = read(s[1], block, 5000);

		REQUIRE(n > 0);
		got += (size_t)n;
	}
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
}

static void on_alarm(int sig) { (void)sig; }

static void
signals_and_timeouts_end_waits(void)
{
	struct sigaction act = { .sa_handler = on_alarm };
	struct itimerval t = { .it_value = { 0, 30000 } };
	struct timeval limit = { 0, 20000 };
	uint64_t start;
	socklen_t len = sizeof(limit);
	char c;
	int s[2];

	pair(SOCK_STREAM, s);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
	FAILS(read(s[0], &c, 1), EINTR);
	EQUAL(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	limit.tv_usec = 0;
	EQUAL(getsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, &len), 0);
	EQUAL(limit.tv_usec, 20000);
	start = now_ns();
	FAILS(read(s[0], &c, 1), EAGAIN);
	REQUIRE(now_ns() - start >= 15000000);
	limit.tv_usec = 1000000;
	FAILS(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), EDOM);
}

static void
datagrams_keep_their_borders(void)
{
	struct sockaddr_un a = named("to", 2), from;
	socklen_t len = sizeof(from);
	char buf[16];
	int s, c;

	in_new_folder();
	s = bound(SOCK_DGRAM, "to");
	c = bound(SOCK_DGRAM, "from");
	FAILS(send(c, "x", 1, 0), ENOTCONN);
	EQUAL(sendto(c, "one", 3, 0, (void *)&a, sizeof(a)), 3);
	EQUAL(sendto(c, "", 0, 0, (void *)&a, sizeof(a)), 0);
	EQUAL(sendto(c, "three", 5, 0, (void *)&a, sizeof(a)), 5);
	EQUAL(recvfrom(s, buf, 16, 0, (void *)&from, &len), 3);
	REQUIRE(strcmp(from.sun_path, "from") == 0);
	EQUAL(ready(s), POLLIN | POLLOUT);
	EQUAL(recv(s, buf, 16, 0), 0);
	EQUAL(recv(s, buf, 2, MSG_PEEK | MSG_TRUNC), 5);
	EQUAL(recv(s, buf, 2, 0), 2);
	FAILS(recv(s, buf, 2, MSG_DONTWAIT), EAGAIN);
	EQUAL(connect(c, (void *)&a, sizeof(a)), 0);
	EQUAL(send(c, "conn", 4, 0), 4);
	EQUAL(recv(s, buf, 16, 0), 4);
	close(s);
	FAILS(send(c, "x", 1, 0), ECONNREFUSED);
	FAILS(send(c, "x", 1, 0), ENOTCONN);
	a = named("none", 4);
	FAILS(sendto(c, "x", 1, 0, (void *)&a, sizeof(a)), ENOENT);
}

static void
datagrams_have_a_largest_size(void)
{
	static char big[400000];
	int s[2];

	pair(SOCK_DGRAM, s);
	FAILS(send(s[0], big, sizeof(big), 0), EMSGSIZE);
	memset(big, 'q', 150000);
	EQUAL(send(s[0], big, 150000, 0), 150000);
	memset(big, 0, 150000);
	EQUAL(recv(s[1], big, sizeof(big), 0), 150000);
	EQUAL(big[149999], 'q');
}

static void
strangers_fill_a_queue(void)
{
	struct sockaddr_un a = named("box", 3);
	struct pollfd p;
	char buf[4];
	int s, c, n = 0;

	in_new_folder();
	s = bound(SOCK_DGRAM, "box");
	c = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	EQUAL(connect(c, (void *)&a, sizeof(a)), 0);
	while (send(c, "x", 1, 0) == 1 && n < 100000)
		n++;
	EQUAL(errno, EAGAIN);
	EQUAL(ready(c), 0);
	p = (struct pollfd){ .fd = c, .events = POLLOUT };
	if (fork() == 0) {
		sleep_ms(50);
		_exit(recv(s, buf, 4, 0) == 1 ? 0 : 1);
	}
	EQUAL(poll(&p, 1, 30000), 1);
	EQUAL(p.revents, POLLOUT);
	REQUIRE(wait(&n) > 0);
	EQUAL(n, 0);
}

static void
only_the_partner_may_send(void)
{
	struct sockaddr_un a = named("a", 1), b = named("b", 1);
	int sa, sb, c;

	in_new_folder();
	sa = bound(SOCK_DGRAM, "a");
	sb = bound(SOCK_DGRAM, "b");
	c = socket(AF_UNIX, SOCK_DGRAM, 0);
	EQUAL(connect(sa, (void *)&b, sizeof(b)), 0);
	FAILS(sendto(c, "x", 1, 0, (void *)&a, sizeof(a)), EPERM);
	FAILS(connect(c, (void *)&a, sizeof(a)), EPERM);
	EQUAL(sendto(sb, "x", 1, 0, (void *)&a, sizeof(a)), 1);
	a.sun_family = AF_UNSPEC;
	EQUAL(connect(sa, (void *)&a, 2), 0);
	a.sun_family = AF_UNIX;
	EQUAL(sendto(c, "x", 1, 0, (void *)&a, sizeof(a)), 1);
}

static void
packets_in_sequence(void)
{
	struct msghdr m = { 0 };
	struct iovec v;
	char buf[8];
	int s[2];

	signal(SIGPIPE, SIG_IGN);
	pair(SOCK_SEQPACKET, s);
	EQUAL(option(s[0], SO_TYPE), SOCK_SEQPACKET);
	EQUAL(send(s[0], "first", 5, 0), 5);
	EQUAL(send(s[0], "second", 6, 0), 6);
	v = (struct iovec){ buf, 3 };
	m.msg_iov = &v;
	m.msg_iovlen = 1;
	EQUAL(recvmsg(s[1], &m, 0), 3);
	EQUAL(m.msg_flags & MSG_TRUNC, MSG_TRUNC);
	EQUAL(read(s[1], buf, 8), 6);
	close(s[0]);
	EQUAL(read(s[1], buf, 8), 0);
	FAILS(send(s[1], "x", 1, 0), EPIPE);
	EQUAL(ready(s[1]), POLLIN | POLLOUT | POLLHUP | POLLRDHUP);
}

static void
peek_leaves_and_waitall_waits(void)
{
	char buf[16];
	int s[2], status;
	pid_t p;

	pair(SOCK_STREAM, s);
	EQUAL(write(s[0], "ab", 2), 2);
	EQUAL(write(s[0], "cd", 2), 2);
	EQUAL(recv(s[1], buf, 16, MSG_PEEK), 4);
	REQUIRE(memcmp(buf, "abcd", 4) == 0);
	EQUAL(recv(s[1], buf, 1, 0), 1);
	EQUAL(recv(s[1], buf, 16, MSG_PEEK), 3);
	REQUIRE(memcmp(buf, "bcd", 3) == 0);
	p = fork();
	REQUIRE(p >= 0);
	if (p == 0)
		_exit(recv(s[1], buf, 6, MSG_WAITALL) == 6 && memcmp(buf, "bcdefg", 6) == 0 ? 0 : 1);
	EVENTUALLY(state_of(p) == 'S');
	EQUAL(write(s[0], "ef", 2), 2);
	sleep_ms(20);
	EQUAL(write(s[0], "gh", 2), 2);
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
	EQUAL(read(s[1], buf, 16), 1);
}

static void
rights_travel(void)
{
	int s[2], p[2], fds[16], flags;
	unsigned before;
	char c;

	pair(SOCK_STREAM, s);
	EQUAL(pipe(p), 0);
	EQUAL(send_fds(s[0], "x", 1, p, 2), 1);
	close(p[0]);
	close(p[1]);
	EQUAL(receive_fds(s[1], fds, MSG_CMSG_CLOEXEC, &flags, sizeof(union control)), 2);
	EQUAL(flags & MSG_CTRUNC, 0);
	EQUAL(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	EQUAL(write(fds[1], "y", 1), 1);
	EQUAL(read(fds[0], &c, 1), 1);
	EQUAL(c, 'y');
	close(fds[1]);
	EQUAL(read(fds[0], &c, 1), 0);		/* no other copy is left */
	before = open_files();
	EQUAL(send_fds(s[0], "x", 1, (int[]){ 0, 0, 0 }, 3), 1);
	EQUAL(receive_fds(s[1], fds, 0, &flags, CMSG_SPACE(sizeof(int)) - 4), 1);
	EQUAL(flags & MSG_CTRUNC, MSG_CTRUNC);	/* room for one only */
	EQUAL(open_files(), before + 1);
	close(fds[0]);
	EQUAL(send_fds(s[0], "x", 1, (int[]){ 0 }, 1), 1);
	EQUAL(read(s[1], &c, 1), 1);		/* who does not ask gets none */
	EQUAL(open_files(), before);
	FAILS(send_fds(s[0], "x", 1, (int[]){ 999 }, 1), EBADF);
	FAILS(recv(s[1], &c, 1, MSG_DONTWAIT), EAGAIN);
}

static void
rights_part_the_stream(void)
{
	int s[2], fds[16];
	char buf[16];

	pair(SOCK_STREAM, s);
	EQUAL(write(s[0], "ab", 2), 2);
	EQUAL(send_fds(s[0], "cd", 2, (int[]){ 0 }, 1), 2);
	EQUAL(write(s[0], "ef", 2), 2);
	EQUAL(receive_fds(s[1], fds, MSG_PEEK, NULL, sizeof(union control)), 1);
	close(fds[0]);
	EQUAL(recv(s[1], buf, 3, 0), 3);
	REQUIRE(memcmp(buf, "abc", 3) == 0);
	EQUAL(recv(s[1], buf, 16, 0), 3);
	REQUIRE(memcmp(buf, "def", 3) == 0);
}

static void
too_many_rights(void)
{
	enum { MANY = 254 };
	static char room[CMSG_SPACE(MANY * sizeof(int))];
	struct iovec v = { "x", 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room) };
	struct cmsghdr *h = (void *)room;
	int s[2];

	pair(SOCK_STREAM, s);
	*h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(MANY * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
	FAILS(sendmsg(s[0], &m, 0), EINVAL);
	h->cmsg_len = CMSG_LEN((MANY - 1) * sizeof(int));
	EQUAL(sendmsg(s[0], &m, 0), 1);
	h->cmsg_len = sizeof(room) + 100;
	FAILS(sendmsg(s[0], &m, 0), EINVAL);
	h->cmsg_len = 3;
	FAILS(sendmsg(s[0], &m, 0), EINVAL);
}

static void
a_chain_of_sockets_unwinds(void)
{
	int s[2], next[2];

	pair(SOCK_STREAM, s);
	for (int i = 0; i < 3000; i++) {
		pair(SOCK_STREAM, next);
		EQUAL(send_fds(next[0], "x", 1, s, 2), 1);
		close(s[0]);
		close(s[1]);
		s[0] = next[0];
		s[1] = next[1];
	}
	close(s[0]);
	close(s[1]);
}

static void
credentials_tell_the_truth(void)
{
	struct ucred u;
	union control c = { 0 };
	struct iovec v = { &u, sizeof(int) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	socklen_t len = sizeof(u);
	int s[2], door, w;
	pid_t p;

	pair(SOCK_STREAM, s);
	EQUAL(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &len), 0);
	EQUAL(u.pid, getpid());
	EQUAL(u.uid, geteuid());
	EQUAL(write(s[0], "1", 1), 1);
	set(s[1], SO_PASSCRED, 1);
	EQUAL(option(s[1], SO_PASSCRED), 1);
	EQUAL(write(s[0], "23", 2), 2);
	EQUAL(recvmsg(s[1], &m, 0), 1);		/* two of different senders are not glued */
	m.msg_controllen = sizeof(c);
	EQUAL(recvmsg(s[1], &m, 0), 2);
	EQUAL(c.head.cmsg_type, SCM_CREDENTIALS);
	memcpy(&u, CMSG_DATA(&c.head), sizeof(u));
	EQUAL(u.pid, getpid());
	EQUAL(u.gid, getgid());
	c.head = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(u)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_CREDENTIALS };
	u = (struct ucred){ getpid(), 4711, getgid() };
	memcpy(CMSG_DATA(&c.head), &u, sizeof(u));
	m.msg_controllen = CMSG_SPACE(sizeof(u));
	EQUAL(sendmsg(s[0], &m, 0), 4);		/* root may say so */
	in_new_folder();
	door = bound(SOCK_STREAM, "door");
	EQUAL(listen(door, 1), 0);
	EQUAL(chmod("door", 0777), 0);
	EQUAL(chmod(".", 0777), 0);
	p = fork();
	REQUIRE(p >= 0);
	if (p == 0) {
		int mine;

		if (setresgid(1001, 1001, 1001) != 0 || setresuid(1000, 1000, 1000) != 0)
			_exit(2);
		if (sendmsg(s[0], &m, 0) != -1 || errno != EPERM)
			_exit(3);
		mine = dial(SOCK_STREAM, "door");
		len = sizeof(u);
		if (mine < 0 || getsockopt(mine, SOL_SOCKET, SO_PEERCRED, &u, &len) != 0 || u.pid != getppid() || u.uid != 0)
			_exit(4);
		pause();
	}
	w = accept(door, NULL, NULL);
	REQUIRE(w >= 0);
	len = sizeof(u);
	EQUAL(getsockopt(w, SOL_SOCKET, SO_PEERCRED, &u, &len), 0);
	EQUAL(u.pid, p);
	EQUAL(u.uid, 1000);
	EQUAL(u.gid, 1001);
	kill(p, SIGKILL);
}

static void
options_are_kept(void)
{
	struct linger l = { 1, 7 };
	socklen_t len = sizeof(l);
	int s = socket(AF_UNIX, SOCK_DGRAM, 0), v = 1;
	struct timeval t;

	EQUAL(option(s, SO_DOMAIN), AF_UNIX);
	EQUAL(option(s, SO_TYPE), SOCK_DGRAM);
	EQUAL(option(s, SO_PROTOCOL), 0);
	EQUAL(option(s, SO_SNDBUF), 212992);
	set(s, SO_SNDBUF, 10000);
	EQUAL(option(s, SO_SNDBUF), 20000);
	set(s, SO_SNDBUF, 1);
	EQUAL(option(s, SO_SNDBUF), 4608);
	set(s, SO_RCVBUF, 1 << 30);
	EQUAL(option(s, SO_RCVBUF), 425984);
	set(s, SO_KEEPALIVE, 1);
	EQUAL(option(s, SO_KEEPALIVE), 1);
	set(s, SO_REUSEADDR, 5);
	EQUAL(option(s, SO_REUSEADDR), 1);
	EQUAL(setsockopt(s, SOL_SOCKET, SO_LINGER, &l, sizeof(l)), 0);
	l = (struct linger){ 0, 0 };
	EQUAL(getsockopt(s, SOL_SOCKET, SO_LINGER, &l, &len), 0);
	EQUAL(l.l_linger, 7);
	len = sizeof(t);
	EQUAL(getsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &t, &len), 0);
	EQUAL(t.tv_sec, 0);
	FAILS(setsockopt(s, SOL_SOCKET, SO_TYPE, &v, sizeof(v)), ENOPROTOOPT);
	FAILS(setsockopt(s, SOL_SOCKET, 9999, &v, sizeof(v)), ENOPROTOOPT);
	FAILS(getsockopt(s, SOL_SOCKET, 9999, &v, &len), ENOPROTOOPT);
	FAILS(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, 2), EINVAL);
	FAILS(setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, (void *)8, 4), EFAULT);
	FAILS(setsockopt(s, 6, 1, &v, sizeof(v)), EOPNOTSUPP);
	len = 2;
	EQUAL(getsockopt(s, SOL_SOCKET, SO_TYPE, &v, &len), 0);
	EQUAL(len, 2);
	FAILS(listen(s, 1), EOPNOTSUPP);
}

static void
epoll_sees_edges(void)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP };
	char buf[4];
	int s[2], ep = epoll_create1(0);

	pair(SOCK_STREAM, s);
	EQUAL(epoll_ctl(ep, EPOLL_CTL_ADD, s[0], &e), 0);
	EQUAL(epoll_wait(ep, &e, 1, 0), 1);
	EQUAL(e.events, EPOLLOUT);
	EQUAL(epoll_wait(ep, &e, 1, 0), 0);
	EQUAL(write(s[1], "x", 1), 1);
	EQUAL(epoll_wait(ep, &e, 1, 0), 1);
	EQUAL(e.events & EPOLLIN, EPOLLIN);
	EQUAL(epoll_wait(ep, &e, 1, 0), 0);
	EQUAL(write(s[1], "y", 1), 1);
	EQUAL(epoll_wait(ep, &e, 1, 0), 1);
	EQUAL(read(s[0], buf, 4), 2);
	close(s[1]);
	EQUAL(epoll_wait(ep, &e, 1, 0), 1);
	EQUAL(e.events, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP);
}

static void
vectors_of_messages(void)
{
	struct mmsghdr m[3] = { 0 };
	struct iovec v[3];
	char data[3][4] = { "a", "bb", "ccc" };
	struct timespec t = { 0, 10000000 };
	int s[2];

	pair(SOCK_DGRAM, s);
	for (int i = 0; i < 3; i++) {
		v[i] = (struct iovec){ data[i], (size_t)i + 1 };
		m[i].msg_hdr.msg_iov = &v[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	EQUAL(sendmmsg(s[0], m, 3, 0), 3);
	EQUAL(m[2].msg_len, 3);
	memset(data, 0, sizeof(data));
	EQUAL(recvmmsg(s[1], m, 2, 0, NULL), 2);
	EQUAL(m[1].msg_len, 2);
	EQUAL(data[1][1], 'b');
	EQUAL(recvmmsg(s[1], m, 3, MSG_WAITFORONE, &t), 1);
	FAILS(recvmmsg(s[1], m, 3, MSG_DONTWAIT, NULL), EAGAIN);
}

static void
sockets_are_files(void)
{
	char text[64], target[64];
	struct stat st;
	int s[2], n;

	pair(SOCK_STREAM, s);
	EQUAL(fstat(s[0], &st), 0);
	EQUAL(st.st_mode & S_IFMT, S_IFSOCK);
	snprintf(text, sizeof(text), "/proc/self/fd/%d", s[0]);
	n = (int)readlink(text, target, sizeof(target));
	REQUIRE(n > 9 && memcmp(target, "socket:[", 8) == 0);
	n = 1;
	EQUAL(ioctl(s[0], FIONBIO, &n), 0);
	FAILS(read(s[0], text, 1), EAGAIN);
	FAILS(ioctl(s[0], 0x5401, text), ENOTTY);
	EQUAL(dup2(s[0], 50), 50);
	close(s[0]);
	EQUAL(write(50, "z", 1), 1);
	EQUAL(read(s[1], text, 4), 1);
}

static void
sockets_outlive_fork(void)
{
	int s[2], status;
	char c = 0;
	pid_t p;

	pair(SOCK_STREAM, s);
	p = fork();
	REQUIRE(p >= 0);
	if (p == 0) {
		close(s[0]);
		_exit(read(s[1], &c, 1) == 1 && c == 'q' && write(s[1], "r", 1) == 1 ? 0 : 1);
	}
	close(s[1]);
	EQUAL(write(s[0], "q", 1), 1);
	EQUAL(read(s[0], &c, 1), 1);
	EQUAL(c, 'r');
	EQUAL(read(s[0], &c, 1), 0);
	EQUAL(waitpid(p, &status, 0), p);
	EQUAL(status, 0);
}

/* Many writers and readers of one socket: every byte comes once. */
static void
many_share_a_socket(void)
{
	enum { WORKERS = 4, EACH = 500 };
	unsigned sum = 0, bytes = 0;
	int s[2], result[2], status;
	unsigned part[2];

	pair(SOCK_STREAM, s);
	EQUAL(pipe(result), 0);
	for (int i = 0; i < WORKERS; i++)
		if (fork() == 0) {
			close(s[1]);
			for (int k = 0; k < EACH; k++)
				if (write(s[0], "abc", 3) != 3)
					_exit(1);
			_exit(0);
		}
	for (int i = 0; i < WORKERS; i++)
		if (fork() == 0) {
			unsigned char buf[7];
			ssize_t n;

			close(s[0]);
			part[0] = part[1] = 0;
			while ((n = read(s[1], buf, sizeof(buf))) > 0)
				for (part[1] += (unsigned)n; n > 0; n--)
					part[0] += buf[n - 1];
			_exit(n == 0 && write(result[1], part, sizeof(part)) == sizeof(part) ? 0 : 1);
		}
	close(s[0]);
	close(s[1]);
	for (int i = 0; i < 2 * WORKERS; i++) {
		REQUIRE(wait(&status) > 0);
		EQUAL(status, 0);
	}
	for (int i = 0; i < WORKERS; i++) {
		EQUAL(read(result[0], part, sizeof(part)), sizeof(part));
		sum += part[0];
		bytes += part[1];
	}
	EQUAL(bytes, WORKERS * EACH * 3);
	EQUAL(sum, WORKERS * EACH * ('a' + 'b' + 'c'));
}

TESTS(
	TEST(arguments_are_checked), TEST(a_pair_carries_bytes_both_ways), TEST(large_amounts_arrive_whole),
	TEST(names_in_the_file_system), TEST(permission_to_connect_is_to_write), TEST(abstract_names_are_bytes),
	TEST(autobind_gives_a_name), TEST(connections_wait_to_be_accepted), TEST(a_full_backlog_makes_callers_wait),
	TEST(who_was_not_accepted_is_reset), TEST(a_closed_peer_is_end_of_file), TEST(a_broken_stream_is_a_signal),
	TEST(shutdown_is_one_way), TEST(unconnected_sockets_are_hung_up), TEST(streams_fill_and_drain),
	TEST(a_blocked_writer_is_woken), TEST(signals_and_timeouts_end_waits), TEST(datagrams_keep_their_borders),
	TEST(datagrams_have_a_largest_size), TEST(strangers_fill_a_queue), TEST(only_the_partner_may_send),
	TEST(packets_in_sequence), TEST(peek_leaves_and_waitall_waits), TEST(rights_travel), TEST(rights_part_the_stream),
	TEST(too_many_rights), TEST(a_chain_of_sockets_unwinds),
	TEST(credentials_tell_the_truth), TEST(options_are_kept), TEST(epoll_sees_edges), TEST(vectors_of_messages),
	TEST(sockets_are_files), TEST(sockets_outlive_fork), TEST(many_share_a_socket),
);
