import { z } from "zod";

export const positiveInteger = z.int("must be a whole number").positive("must be more than 0");

export const seconds = z.number().positive("must be more than 0");
