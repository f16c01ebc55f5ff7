/* SPDX-License-Identifier: MIT */
/*
 * So many reports a second.
 */
#include "limit.h"

static const uint64_t SECOND_NS = 1000000000;

bool
limit_take(struct report_limit *l, uint64_t now_ns, uint32_t most)
{
	if (now_ns - l->window_ns >= SECOND_NS) {
		l->window_ns = now_ns;
		l->said = 0;
	}
	if (l->said < most) {
		l->said++;
		return true;
	}
	if (l->left_out != UINT32_MAX)
		l->left_out++;
	return false;
}

uint32_t
limit_left_out(struct report_limit *l, uint64_t now_ns)
{
	uint32_t n = l->left_out;

	if (n == 0 || now_ns < limit_due_ns(l))
		return 0;
	l->left_out = 0;
	return n;
}

uint64_t
limit_due_ns(const struct report_limit *l)
{
	return l->left_out == 0 ? UINT64_MAX : l->window_ns + SECOND_NS;
}
