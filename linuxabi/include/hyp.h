/* SPDX-License-Identifier: MIT */
/*
 * Hypercalls that parts other than arch/ need.  Owner: linuxabi/arch/arm64 (over the
 * generated stubs of the kernel); slots are those of proto/world.h.
 */
#ifndef LX_HYP_H
#define LX_HYP_H

#include <proto/world.h>

void hyp_signal(uint32_t slot);		/* signal a Notification; never blocks */
void hyp_yield(void);

#endif
