import { startExample } from "../../kit/example.ts";
import { testWith } from "../../kit/programs.ts";
import { dataFolder, FLAGS } from "../main/kit.ts";
import { agreeOnOrders } from "./orders_board.ts";

testWith(
  "chromium",
  "B21 a folder of files is an app: two browsers agree on its orders",
  async (executablePath) => {
    using data = dataFolder();
    const args = [...FLAGS, "main.ts", "--config", "examples/no_code/plugboard.json"];
    await using example = await startExample(args, { env: { DATA_DIR: data.path } });
    await agreeOnOrders(executablePath, example.url, {
      wrongTotal: "-1",
      sentence: "a customer has a name of 1 to 100 characters",
      shown: async ({ two }) => await two.getByText("New: order 1 of Ada <b>Lovelace</b>").waitFor(),
    });
  },
);
