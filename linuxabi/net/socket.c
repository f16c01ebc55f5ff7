/* SPDX-License-Identifier: MIT */
/*
 * Sockets, as a kernel that was built without any address family shows them:
 * socket(2) and socketpair(2) check their arguments and answer EAFNOSUPPORT, every
 * other call ENOTSOCK for a file that is none.  Programs know both and go on
 * without a network.
 */
#include <linux/net.h>

#include "fs.h"
#include "syscall.h"

enum { AF_MAX_ = 46, TYPE_MASK = 0xf, SOCK_MAX_ = 11 };

static long
family_check(uint64_t family, uint64_t type)
{
	int t = (int)type & TYPE_MASK;

	if (((int)type & ~(TYPE_MASK | O_CLOEXEC | O_NONBLOCK)) != 0)
		return -EINVAL;
	if ((int)family < 0 || (int)family >= AF_MAX_)
		return -EAFNOSUPPORT;
	if (t < 1 || t >= SOCK_MAX_)
		return -EINVAL;
	return -EAFNOSUPPORT;
}

static long
not_a_socket(uint64_t fd)
{
	struct file *f = fd_get((int)fd);

	if (f == NULL)
		return -EBADF;
	file_put(f);
	return -ENOTSOCK;
}

long sys_socket(uint64_t family, uint64_t type, uint64_t protocol) { (void)protocol; return family_check(family, type); }

long
sys_socketpair(uint64_t family, uint64_t type, uint64_t protocol, uint64_t fds)
{
	(void)protocol;
	(void)fds;
	return family_check(family, type);
}

#define UNUSED __attribute__((unused))

long sys_bind(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED) { return not_a_socket(fd); }
long sys_listen(uint64_t fd, uint64_t a UNUSED) { return not_a_socket(fd); }
long sys_accept(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED) { return not_a_socket(fd); }
long sys_accept4(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED, uint64_t c UNUSED) { return not_a_socket(fd); }
long sys_connect(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED) { return not_a_socket(fd); }
long sys_getsockname(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED) { return not_a_socket(fd); }
long sys_getpeername(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED) { return not_a_socket(fd); }
long sys_shutdown(uint64_t fd, uint64_t a UNUSED) { return not_a_socket(fd); }
long sys_sendmsg(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED) { return not_a_socket(fd); }
long sys_recvmsg(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED) { return not_a_socket(fd); }

long
sys_sendto(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED, uint64_t c UNUSED, uint64_t d UNUSED, uint64_t e UNUSED)
{
	return not_a_socket(fd);
}

long
sys_recvfrom(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED, uint64_t c UNUSED, uint64_t d UNUSED, uint64_t e UNUSED)
{
	return not_a_socket(fd);
}

long
sys_setsockopt(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED, uint64_t c UNUSED, uint64_t d UNUSED)
{
	return not_a_socket(fd);
}

long
sys_getsockopt(uint64_t fd, uint64_t a UNUSED, uint64_t b UNUSED, uint64_t c UNUSED, uint64_t d UNUSED)
{
	return not_a_socket(fd);
}
