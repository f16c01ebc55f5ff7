// SPDX-License-Identifier: MIT
// There are no signals to return from: a component's faults go to init.
.global __restore
.hidden __restore
.type __restore,%function
__restore:
.global __restore_rt
.hidden __restore_rt
.type __restore_rt,%function
__restore_rt:
	brk #1
