/* SPDX-License-Identifier: MIT */
/* syslog(2): the kernel's log for dmesg and klogd. */
#include "internal.h"
#include "log.h"
#include "syscall.h"

enum {
	LOG_CLOSE_ = 0, LOG_OPEN_, LOG_READ_, LOG_READ_ALL_, LOG_READ_CLEAR_, LOG_CLEAR_,
	LOG_CONSOLE_OFF_, LOG_CONSOLE_ON_, LOG_CONSOLE_LEVEL_, LOG_SIZE_UNREAD_, LOG_SIZE_BUFFER_,
};

static uint64_t next_read, cleared;	/* positions; a race between two readers only repeats text */

/* Move up to len bytes from *pos on to the user. */
static long
log_copy(uaddr_t to, size_t len, uint64_t *pos)
{
	char buf[256];
	size_t done = 0;

	while (done < len) {
		size_t n = log_read(pos, buf, min(len - done, sizeof(buf)));

		if (n == 0)
			break;
		if (copy_to_user(to + done, buf, n) != 0)
			return -EFAULT;
		done += n;
	}
	return (long)done;
}

static long
log_read_new(uaddr_t to, size_t len)
{
	long r = wait_event_interruptible(&log_wait, next_read < log_end());

	return r != 0 ? r : log_copy(to, len, &next_read);
}

/* The last len bytes since the log was cleared. */
static long
log_read_all(uaddr_t to, size_t len, bool clear)
{
	uint64_t end = log_end(), pos = max(cleared, log_first());
	long r;

	if (end - pos > len)
		pos = end - len;
	r = log_copy(to, len, &pos);
	if (clear && r >= 0)
		cleared = end;
	return r;
}

long
sys_syslog(uint64_t type, uint64_t to, uint64_t len)
{
	if (!capable(CAP_SYSLOG_) && !capable(CAP_SYS_ADMIN_)
	    && type != LOG_READ_ALL_ && type != LOG_SIZE_BUFFER_)
		return -EPERM;
	switch (type) {
	case LOG_CLOSE_:
	case LOG_OPEN_:
	case LOG_CONSOLE_OFF_:
	case LOG_CONSOLE_ON_:
		return 0;
	case LOG_CONSOLE_LEVEL_:
		return (int)len < 1 || (int)len > 8 ? -EINVAL : 0;
	case LOG_READ_:
	case LOG_READ_ALL_:
	case LOG_READ_CLEAR_:
		if (to == 0 || (int)len < 0)
			return -EINVAL;
		if (len == 0)
			return 0;
		return type == LOG_READ_ ? log_read_new(to, len) : log_read_all(to, len, type == LOG_READ_CLEAR_);
	case LOG_CLEAR_:
		cleared = log_end();
		return 0;
	case LOG_SIZE_UNREAD_:
		return (long)(log_end() - max(next_read, log_first()));
	case LOG_SIZE_BUFFER_:
		return (long)log_size();
	default:
		return -EINVAL;
	}
}
