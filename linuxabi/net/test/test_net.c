/* SPDX-License-Identifier: MIT */
/*
 * net/ through its system calls: what leaves objects behind, what a queue may
 * hold, rights in flight and their garbage, and random calls.  Each test leaves
 * as many objects as it found; what Linux promises is asked by
 * tests/conformance/sockets.c.
 */
#include "../../fs/test/fs_host.h"
#include "../internal.h"

struct user_msg {
	uint64_t name;
	int32_t name_len, pad;
	uint64_t iov, iov_count, control, control_len;
	int32_t flags, pad2;
};
struct user_cmsg {
	uint64_t len;
	int32_t level, type;
	int fd[256];
};

static void
pair(unsigned type, int s[2])
{
	EXPECT(sys_socketpair(AF_UNIX_, type, 0, U(s)), 0);
}

static void close_fd(int fd) { EXPECT(sys_close((uint64_t)fd), 0); }

static long
send_rights(int s, const int *fds, unsigned count)
{
	struct user_cmsg c = { .len = 16 + count * 4, .level = SOL_SOCKET, .type = 1 };
	struct iov v = { U("x"), 1 };
	struct user_msg m = { .iov = U(&v), .iov_count = 1, .control = U(&c), .control_len = c.len };

	memcpy(c.fd, fds, count * sizeof(int));
	return sys_sendmsg((uint64_t)s, U(&m), MSG_DONTWAIT_);
}

/* How many came, or an error. */
static long
take_rights(int s, int *fds, unsigned room, uint64_t flags)
{
	struct user_cmsg c = { 0 };
	char byte;
	struct iov v = { U(&byte), 1 };
	struct user_msg m = { .iov = U(&v), .iov_count = 1, .control = U(&c), .control_len = 16 + room * 4 };
	long r = sys_recvmsg((uint64_t)s, U(&m), flags | MSG_DONTWAIT_);

	if (r < 0 || m.control_len == 0 || c.type != 1)	/* or SO_PASSCRED took the room */
		return r < 0 ? r : 0;
	memcpy(fds, c.fd, c.len - 16);
	return (long)(c.len - 16) / 4;
}

static void
bytes_of_all_sizes_arrive(void)
{
	static char out[200000], in[200000];
	unsigned types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (char)rnd();
	for (unsigned t = 0; t < ARRAY_LEN(types); t++) {
		int s[2];

		pair(types[t], s);
		for (size_t n = 1; n < sizeof(out); n = n * 3 / 2 + 1) {
			size_t got = 0;

			EXPECT(sys_write((uint64_t)s[0], U(out), n), n);
			while (got < n) {
				long r = sys_read((uint64_t)s[1], U(in + got), types[t] == SOCK_STREAM ? 1 + rnd() % n : n);

				CHECK(r > 0);
				got += (size_t)r;
			}
			CHECK(memcmp(in, out, n) == 0);
		}
		EXPECT(sys_write((uint64_t)s[0], 8, 100), -EFAULT);
		EXPECT(sys_write((uint64_t)s[0], 8, 10000), -EFAULT);
		/* What nobody reads goes with the socket. */
		EXPECT(sys_write((uint64_t)s[0], U(out), 5000), 5000);
		EXPECT(sys_write((uint64_t)s[1], U(out), 50), 50);
		close_fd(s[0]);
		close_fd(s[1]);
	}
}

static void
a_stream_is_full_at_its_limit(void)
{
	static char block[1000];
	long in = 0, out = 0, r;
	int s[2], one = 1;

	pair(SOCK_STREAM, s);
	EXPECT(sys_ioctl((uint64_t)s[0], 0x5421 /* FIONBIO */, U(&one)), 0);
	while ((r = sys_write((uint64_t)s[0], U(block), sizeof(block))) > 0)
		in += r;
	EXPECT(r, -EAGAIN);
	CHECK(in > 20000 && in <= BUFFER_DEFAULT);
	host_wait_result = -ERESTARTSYS;
	EXPECT(sys_ioctl((uint64_t)s[0], 0x5421, U(&(int){ 0 })), 0);
	EXPECT(sys_write((uint64_t)s[0], U(block), sizeof(block)), -ERESTARTSYS);
	host_wait_result = 0;
	while ((r = sys_recvfrom((uint64_t)s[1], U(block), sizeof(block), MSG_DONTWAIT_, 0, 0)) > 0)
		out += r;
	EXPECT(out, in);
	close_fd(s[0]);
	close_fd(s[1]);
}

static void
bound_names_go_with_their_socket(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX_, .sun_path = "/door" };
	long s = sys_socket(AF_UNIX_, SOCK_STREAM, 0), c;
	struct stat st;

	EXPECT(sys_bind((uint64_t)s, U(&a), sizeof(a)), 0);
	EXPECT(sys_listen((uint64_t)s, 2), 0);
	EXPECT(t_unlink("/door"), 0);		/* the name; the socket lives on */
	EXPECT(t_stat("/door", &st), -ENOENT);
	c = sys_socket(AF_UNIX_, SOCK_STREAM, 0);
	EXPECT(sys_connect((uint64_t)c, U(&a), sizeof(a)), -ENOENT);
	close_fd((int)s);
	s = sys_socket(AF_UNIX_, SOCK_STREAM, 0);
	EXPECT(sys_bind((uint64_t)s, U(&a), sizeof(a)), 0);
	EXPECT(sys_connect((uint64_t)c, U(&a), sizeof(a)), -ECONNREFUSED);
	EXPECT(sys_listen((uint64_t)s, 2), 0);
	EXPECT(sys_connect((uint64_t)c, U(&a), sizeof(a)), 0);
	EXPECT(sys_write((uint64_t)c, U("hello"), 5), 5);
	close_fd((int)s);			/* with a connection that waits, and bytes in it */
	close_fd((int)c);
	EXPECT(t_unlink("/door"), 0);
}

static void
rights_are_counted(void)
{
	int s[2], p[2], got[16];
	uint64_t files = file_count();

	pair(SOCK_STREAM, s);
	EXPECT(sys_pipe2(U(p), 0), 0);
	EXPECT(send_rights(s[0], p, 2), 1);
	close_fd(p[0]);
	close_fd(p[1]);
	EXPECT(file_count(), files + 4);
	EXPECT(take_rights(s[1], got, 2, MSG_PEEK_), 2);
	close_fd(got[0]);
	close_fd(got[1]);
	EXPECT(take_rights(s[1], got, 1, 0), 1);
	EXPECT(file_count(), files + 3);
	close_fd(got[0]);
	EXPECT(send_rights(s[0], s, 2), 1);	/* into itself */
	EXPECT(send_rights(s[0], (int[]){ 0, 1, 900 }, 3), -EBADF);
	close_fd(s[0]);
	close_fd(s[1]);
	rights_collect();
	EXPECT(file_count(), files);
}

static void
garbage_is_collected_and_nothing_else(void)
{
	int a[2], b[2], c[2], got[4];
	uint64_t files = file_count();

	/* A ring of three, one of them held by a reachable socket's queue. */
	pair(SOCK_STREAM, a);
	pair(SOCK_DGRAM, b);
	pair(SOCK_SEQPACKET, c);
	EXPECT(send_rights(a[0], b, 2), 1);
	EXPECT(send_rights(b[0], c, 2), 1);
	EXPECT(send_rights(c[0], a, 2), 1);
	EXPECT(send_rights(c[0], &a[1], 1), 1);
	for (int i = 0; i < 2; i++) {
		close_fd(a[i]);
		close_fd(b[i]);
	}
	close_fd(c[0]);
	rights_collect();
	EXPECT(file_count(), files + 6);	/* c[1] leads to all of them */
	EXPECT(take_rights(c[1], got, 4, 0), 2);
	rights_collect();
	EXPECT(file_count(), files + 6);
	close_fd(got[0]);
	close_fd(got[1]);
	close_fd(c[1]);
	rights_collect();
	EXPECT(file_count(), files);
}

static void
a_listener_in_flight_is_collected(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX_, .sun_path = "\0l" };
	uint64_t files = file_count();
	int s = (int)sys_socket(AF_UNIX_, SOCK_STREAM, 0), c = (int)sys_socket(AF_UNIX_, SOCK_STREAM, 0), both[2];

	EXPECT(sys_bind((uint64_t)s, U(&a), 4), 0);
	EXPECT(sys_listen((uint64_t)s, 2), 0);
	EXPECT(sys_connect((uint64_t)c, U(&a), 4), 0);
	both[0] = s;
	both[1] = c;
	EXPECT(send_rights(c, both, 2), 1);	/* it lies in what the listener has not accepted */
	close_fd(s);
	close_fd(c);
	rights_collect();
	EXPECT(file_count(), files);
}

static void
a_long_chain_needs_no_stack(void)
{
	int s[2], next[2];

	pair(SOCK_STREAM, s);
	for (int i = 0; i < 20000; i++) {
		pair(SOCK_STREAM, next);
		EXPECT(send_rights(next[0], s, 2), 1);
		close_fd(s[0]);
		close_fd(s[1]);
		s[0] = next[0];
		s[1] = next[1];
	}
	close_fd(s[0]);
	close_fd(s[1]);
}

static void
a_user_has_so_many_in_flight(void)
{
	int s[2], n = 0;
	uint64_t cap = host_cred.cap_effective, limit = host_limits[RLIMIT_NOFILE];

	pair(SOCK_DGRAM, s);
	host_cred.cap_effective = 0;
	host_limits[RLIMIT_NOFILE] = 20;
	while (send_rights(s[0], s, 2) == 1)
		n++;
	EXPECT(send_rights(s[0], s, 2), -ETOOMANYREFS);
	CHECK(n >= 9 && n <= 11);
	host_cred.cap_effective = cap;
	host_limits[RLIMIT_NOFILE] = limit;
	close_fd(s[0]);
	close_fd(s[1]);
	rights_collect();
}

/* ---- random calls ---- */

enum { SLOTS = 24, ROUNDS = 60000 };
static int slot[SLOTS];

static int any(void) { return slot[rnd() % SLOTS]; }
static uint64_t any_flags(void) { return (rnd() % 4 == 0 ? MSG_PEEK_ : 0) | (rnd() % 4 == 0 ? MSG_TRUNC_ : 0) | MSG_DONTWAIT_ | MSG_NOSIGNAL_; }

static void
keep(long fd)
{
	int *s = &slot[rnd() % SLOTS];

	if (fd < 0)
		return;
	if (*s >= 0)
		close_fd(*s);
	*s = (int)fd;
}

static void
keep_pair(void)
{
	static const unsigned types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	int s[2];

	if (sys_socketpair(AF_UNIX_, types[rnd() % 3] | O_NONBLOCK, 0, U(s)) == 0) {
		keep(s[0]);
		keep(s[1]);
	}
}

static void
random_call(void)
{
	static char data[70000];
	struct sockaddr_un a = { .sun_family = AF_UNIX_ };
	uint32_t len = sizeof(a);
	int fds[8], n;
	long r;

	a.sun_path[1] = (char)(rnd() % 8);
	switch (rnd() % 14) {
	case 0:
		keep_pair();
		break;
	case 1:
		keep(sys_socket(AF_UNIX_, (1 + rnd() % 5) | O_NONBLOCK, 0));
		break;
	case 2:
		sys_bind((uint64_t)any(), U(&a), 4);
		break;
	case 3:
		sys_listen((uint64_t)any(), rnd() % 4);
		break;
	case 4:
		sys_connect((uint64_t)any(), U(&a), 4);
		break;
	case 5:
		keep(sys_accept4((uint64_t)any(), U(&a), U(&len), O_NONBLOCK));
		break;
	case 6:
		n = 1 + (int)(rnd() % 4);
		for (int i = 0; i < n; i++)
			fds[i] = any();
		send_rights(any(), fds, (unsigned)n);
		break;
	case 7:
		r = take_rights(any(), fds, (unsigned)(rnd() % 4), rnd() % 4 == 0 ? MSG_PEEK_ : 0);
		while (r-- > 0)
			keep(fds[r]);
		break;
	case 8:
		sys_sendto((uint64_t)any(), U(data), rnd() % (rnd() % 2 ? 200 : sizeof(data)), MSG_DONTWAIT_ | MSG_NOSIGNAL_,
		    rnd() % 3 == 0 ? U(&a) : 0, 4);
		break;
	case 9:
		sys_recvfrom((uint64_t)any(), U(data), rnd() % (rnd() % 2 ? 200 : sizeof(data)), any_flags(),
		    rnd() % 2 ? U(&a) : 0, U(&len));
		break;
	case 10:
		sys_shutdown((uint64_t)any(), rnd() % 3);
		break;
	case 11:
		sys_setsockopt((uint64_t)any(), SOL_SOCKET, rnd() % 40, U(&(int){ (int)(rnd() % 3) }), 4);
		break;
	case 12: {
		struct pollfd p = { .fd = any(), .events = 0x7fff };
		struct __kernel_timespec now = { 0, 0 };

		sys_ppoll(U(&p), 1, U(&now), 0, 0);
		break;
	}
	case 13:
		keep(sys_dup((uint64_t)any()));
		break;
	}
}

static void
random_calls_leave_nothing(void)
{
	uint64_t files = file_count();

	for (unsigned i = 0; i < SLOTS; i++)
		slot[i] = -1;
	for (unsigned i = 0; i < ROUNDS; i++)
		random_call();
	for (unsigned i = 0; i < SLOTS; i++)
		if (slot[i] >= 0)
			close_fd(slot[i]);
	rights_collect();
	EXPECT(file_count(), files);
}

#define T(f) { #f, f }
static const struct { const char *name; void (*run)(void); } tests[] = {
	T(bytes_of_all_sizes_arrive), T(a_stream_is_full_at_its_limit), T(bound_names_go_with_their_socket),
	T(rights_are_counted), T(garbage_is_collected_and_nothing_else), T(a_listener_in_flight_is_collected),
	T(a_long_chain_needs_no_stack), T(a_user_has_so_many_in_flight), T(random_calls_leave_nothing),
};

int
main(void)
{
	unsigned n = 0;

	host_fs_init();
	net_init();
	EXPECT(t_open("/null", O_RDWR | O_CREAT, 0600), 0);
	EXPECT(sys_dup(0), 1);
	/* Twice: the first round fills caches of names and inodes. */
	for (int round = 0; round < 2; round++)
		for (n = 0; n < ARRAY_LEN(tests); n++) {
			uint64_t pages = pages_free_count();
			long before;

			grace_flush();
			before = host_objects;
			printf("%s\n", tests[n].name);
			fflush(0);
			tests[n].run();
			grace_flush();
			if (round == 1) {
				EXPECT(pages_free_count(), pages);
				EXPECT(host_objects, before);
			}
		}
	printf("%u passed, 0 failed\n", n);
	return 0;
}
