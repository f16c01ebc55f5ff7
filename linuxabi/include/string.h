/* SPDX-License-Identifier: MIT */
/* For headers shared with native components (tessera/ring.h): our own string functions. */
#ifndef LX_STRING_H
#define LX_STRING_H

#include "kernel.h"

#endif
