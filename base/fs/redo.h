/* SPDX-License-Identifier: MIT */
#ifndef FS_REDO_H
#define FS_REDO_H
#endif
