/* SPDX-License-Identifier: MIT */
#pragma once
/* terminal: the one that this command was started on, while a program of a VM has it. */
#include <stdbool.h>
#include <stdint.h>

/* Both standard input and output are one. */
bool terminal_is_there(void);
/* Rows and columns; 0 where they are not known. */
void terminal_size(uint16_t *ret_rows, uint16_t *ret_columns);
/* Every key goes to the program from now on. */
void terminal_give(void);
/* As it was before; nothing if it was not given. */
void terminal_take_back(void);
