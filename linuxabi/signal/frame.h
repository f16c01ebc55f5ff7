/* SPDX-License-Identifier: MIT */
/* Signal frames and the alternate stack: between the files of linuxabi/signal. */
#ifndef LX_SIGNAL_FRAME_H
#define LX_SIGNAL_FRAME_H

#include "task.h"

enum { SA_RESTORER_ = 0x04000000, MINSIGSTKSZ_ = 5120 };
#define SS_AUTODISARM_	(1U << 31)

/* Push a frame for the handler and point regs at it; -EFAULT: no usable stack. */
long frame_push(struct regs *, int sig, const struct sigact *, const siginfo_t *, sigmask_t mask);
/* rt_sigreturn: registers, FP, mask and alternate stack from the frame at sp. */
long frame_pop(struct regs *);
bool signal_on_altstack(const struct task *);
/* quiet: from sigreturn, where errors are ignored as Linux does. 0, -EPERM, -EINVAL, -ENOMEM. */
long signal_set_altstack(const stack_t *, bool quiet);

#endif
