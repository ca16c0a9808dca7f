import { runExample } from "../../kit/example.ts";
import { testWith } from "../../kit/programs.ts";
import { agreeOnOrders } from "./orders_board.ts";

testWith("chromium", "B07 B08 two browsers agree on the orders board at once", async (executablePath) => {
  await using example = await runExample("examples/orders.ts");
  await agreeOnOrders(executablePath, example.url, { wrongTotal: "1", sentence: "A customer has a name" });
});

testWith("chromium", "B23 two browsers agree on the same orders board in React", async (executablePath) => {
  await using example = await runExample("examples/orders.ts");
  const url = `${example.url}/react`;
  await agreeOnOrders(executablePath, url, { wrongTotal: "1", sentence: "A customer has a name" });
});
